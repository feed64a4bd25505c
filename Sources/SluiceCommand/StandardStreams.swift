import Foundation

/// Results: unbuffered, so that text appears as it is written.
enum StandardOutput {
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  static func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}

/// Everything that is not a result.
enum StandardError {
  static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

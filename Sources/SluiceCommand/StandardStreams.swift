import Engine
import Foundation

/// Results: unbuffered, so that text appears as it is written.
enum StandardOutput {
  static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Writes text, and ends the command where that is impossible: quietly where the reader has had enough (as `head`
  /// has), with one line and exit status 1 where the disk is full or standard output closed.
  static func write(_ text: String) {
    guard let error = writeAll(text, to: STDOUT_FILENO) else { return }
    if error == EPIPE { exit(0) }
    StandardError.write("sluice: standard output cannot be written: \(String(cString: strerror(error)).lowercased())\n")
    exit(1)
  }
}

/// Everything that is not a result.
enum StandardError {
  /// Writes text; where that is impossible there is nobody to tell.
  static func write(_ text: String) { _ = writeAll(text, to: STDERR_FILENO) }

  /// Says what is odd about a model's files, a line each; quiet, only what was wrong.
  static func write(_ notices: [LanguageModel.Notice], isQuiet: Bool) {
    for notice in notices where !isQuiet || notice.kind == .warning { write("sluice: \(notice)\n") }
  }

  /// Says what was wrong and is borne, a line each.
  static func warn(_ warnings: [String]) {
    for warning in warnings { write("sluice: warning: \(warning)\n") }
  }
}

/// Writes all of a text and returns the error number of a failure.
private func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
  var text = text
  return text.withUTF8 { bytes in
    var rest = UnsafeRawBufferPointer(bytes)
    while !rest.isEmpty {
      let count = write(descriptor, rest.baseAddress, rest.count)
      if count >= 0 {
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }
}

import Foundation

/// The command's arguments as text.
enum CommandArguments {
  /// All but the command's own name; values that begin with a hyphen are joined to their options.
  ///
  /// The name of a file may be any bytes, but text is UTF-8: where an argument is not, and a file has that name, the file is
  /// opened here and its descriptor's name stands for it.
  static var all: [String] {
    let texts = (1..<max(1, Int(CommandLine.argc))).compactMap { index -> String? in
      guard let bytes = CommandLine.unsafeArgv[index] else { return nil }
      if let text = String(validatingCString: bytes) { return text }
      // A pipe without a writer would block a plain open.
      let descriptor = open(bytes, O_RDONLY | O_NONBLOCK)
      return descriptor >= 0 ? "/dev/fd/\(descriptor)" : String(cString: bytes)
    }
    return HyphenatedValues.joined(texts)
  }
}

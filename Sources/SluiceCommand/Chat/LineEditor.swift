import Foundation

/// Lines from a terminal with editing and history, by libedit where the machine has it.
///
/// The library is looked for when the chat starts, so a machine without it builds and runs everything all the same; there
/// the terminal's own line is all the editing there is.
final class LineEditor {
  private typealias ReadLine = @convention(c) (UnsafePointer<CChar>?) -> UnsafeMutablePointer<CChar>?
  private typealias TextCall = @convention(c) (UnsafePointer<CChar>?) -> CInt
  private typealias CountCall = @convention(c) (CInt) -> Void

  private struct Library {
    let readLine: ReadLine
    let addHistory: TextCall
    let readHistory: TextCall
    let writeHistory: TextCall

    init?() {
      #if os(macOS)
        let names = ["libedit.3.dylib", "libedit.dylib"]
      #else
        let names = ["libedit.so.2", "libedit.so.0", "libedit.so"]
      #endif
      guard let handle = names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first,
        let readLine = dlsym(handle, "readline"), let add = dlsym(handle, "add_history"),
        let read = dlsym(handle, "read_history"), let write = dlsym(handle, "write_history")
      else { return nil }
      self.readLine = unsafeBitCast(readLine, to: ReadLine.self)
      addHistory = unsafeBitCast(add, to: TextCall.self)
      readHistory = unsafeBitCast(read, to: TextCall.self)
      writeHistory = unsafeBitCast(write, to: TextCall.self)
      // Results belong to standard output, prompts do not.
      if let stream = dlsym(handle, "rl_outstream") {
        stream.assumingMemoryBound(to: UnsafeMutablePointer<FILE>?.self).pointee = fdopen(STDERR_FILENO, "w")
      }
      if let stifle = dlsym(handle, "stifle_history") {
        unsafeBitCast(stifle, to: CountCall.self)(CInt(LineEditor.historyLength))
      }
    }
  }

  private static let historyLength = 1000
  private let library: Library?
  private let historyPath: String?

  /// - Parameter historyPath: a file in which lines are kept from chat to chat; nil keeps none
  init(historyPath: String?) {
    // Characters beyond ASCII need a locale that has them.
    setlocale(LC_CTYPE, "")
    if String(cString: nl_langinfo(CInt(CODESET))) != "UTF-8" { setlocale(LC_CTYPE, "C.UTF-8") }
    self.historyPath = historyPath
    library = Library()
    if let historyPath, let library { _ = library.readHistory(historyPath) }
  }

  /// Whether lines can be edited.
  var canEdit: Bool { library != nil }

  /// The next line, without its end; nil at the end of input, or where Ctrl-C came.
  func line(prompt: String) -> String? {
    guard let library else {
      StandardError.write(prompt)
      return readLine()
    }
    guard let line = library.readLine(prompt) else { return nil }
    defer { free(line) }
    return String(cString: line)
  }

  /// A message: a line, and those pasted with it.
  ///
  /// - Returns: nil at the end of input, or where Ctrl-C came
  func message(prompt: String) -> String? {
    guard var message = line(prompt: prompt) else { return nil }
    while isPasting, let next = line(prompt: "… ") { message += "\n" + next }
    return message
  }

  /// Whether more has been pasted than was read. A line of which only the start has come counts too, so it must not wait for
  /// its end in the terminal.
  private var isPasting: Bool {
    var terminal = termios()
    guard tcgetattr(STDIN_FILENO, &terminal) == 0 else { return false }
    var direct = terminal
    direct.c_lflag &= ~tcflag_t(ICANON | ECHO)
    tcsetattr(STDIN_FILENO, TCSANOW, &direct)
    defer { tcsetattr(STDIN_FILENO, TCSANOW, &terminal) }
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    return poll(&input, 1, Self.pasteMilliseconds) > 0
  }

  /// How long the rest of what was pasted may take to come: longer than any terminal takes, shorter than anybody types.
  private static let pasteMilliseconds: CInt = 30

  /// Keeps a message for later chats; of several lines, each.
  func remember(_ message: String) {
    guard let library else { return }
    for line in message.split(separator: "\n") { _ = library.addHistory(String(line)) }
    guard let historyPath else { return }
    // Readable by its owner only: people write private things.
    close(open(historyPath, O_WRONLY | O_CREAT, 0o600))
    _ = library.writeHistory(historyPath)
  }

  /// Where the chat's lines are kept: `XDG_STATE_HOME`, or the usual place for it.
  ///
  /// - Returns: nil where there is no such folder and none can be made
  static func defaultHistoryPath(environment: [String: String] = ProcessInfo.processInfo.environment) -> String? {
    let state = environment["XDG_STATE_HOME"].flatMap { $0.isEmpty ? nil : $0 }
    guard let folder = state ?? environment["HOME"].map({ $0 + "/.local/state" }) else { return nil }
    let path = folder + "/sluice"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return access(path, W_OK) == 0 ? path + "/chat-history" : nil
  }
}

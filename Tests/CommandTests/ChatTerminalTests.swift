import Foundation
import TestSupport
import Testing

/// `sluice chat` at a terminal, typed at by this test: each step waits for what the screen is to show.
@Suite("Chat at a terminal") struct ChatTerminalTests {
  /// A chat whose model answers everything with Q, without end.
  private func withChat(_ arguments: [String], _ body: (ChatTerminal, _ folder: String) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      let letter = Int32(TinyModel.tokens.firstIndex(of: "Q") ?? 0)
      let model = try TinyModel(trainedLength: 1 << 16, biases: [letter: 20]).write(in: folder)
      let chat = try ChatTerminal(["chat", "-m", model, "--temp", "0"] + arguments, folder: folder)
      defer { chat.end() }
      try chat.wait(for: "> ")
      try body(chat, folder)
    }
  }

  @Test("Ctrl-C stops an answer and keeps the chat; at the prompt it drops the line") func interrupts() throws {
    try withChat([]) { chat, _ in
      try chat.type("Hello\n")
      try chat.wait(for: "QQQ")
      chat.interrupt()
      try chat.wait(for: "(stopped)")
      try chat.wait(for: "> ")
      try chat.type("half a line")
      try chat.wait(for: "half a line")
      try chat.interrupt(until: "> ")
      try chat.type("/memory\n")
      try chat.wait(for: "cache   sinks:4,window:4092")
    }
  }

  @Test("lines pasted together are one message, and the one that is not ended waits for its end") func pastes() throws {
    try withChat(["-n", "3"]) { chat, _ in
      try chat.type("one\ntwo\nthree\nfour\nfive")
      for line in ["one", "two", "three", "four", "five"] { try chat.wait(for: line) }
      try chat.type("\n")
      try chat.wait(for: "> ")
      try chat.type("/memory\n")
      // The frame around it, and the bytes of five lines.
      try chat.wait(for: "turn    38 tokens of the last message read")
    }
  }

  @Test("what was said is taken back, kept in a file, and gone on with in another chat") func keeps() throws {
    try withChat(["-n", "3", "--undo", "200"]) { chat, folder in
      try chat.type("first\n")
      try chat.wait(for: "> ")
      try chat.type("second\n")
      try chat.wait(for: "> ")
      try chat.type("/undo\n")
      try chat.wait(for: "> ")
      try chat.type("/save \(folder)/kept\n")
      try chat.wait(for: "> ")
      let other = try ChatTerminal(
        ["chat", "-m", folder + "/tiny.gguf", "--temp", "0", "-n", "3", "--undo", "200"], folder: folder)
      defer { other.end() }
      try other.wait(for: "> ")
      try other.type("/load \(folder)/kept\n")
      try other.wait(for: "user: first")
      for terminal in [chat, other] {
        try terminal.type("/memory\n")
        try terminal.wait(for: "tokens  ")
      }
      #expect(chat.lastLine(beginning: "tokens  ") == other.lastLine(beginning: "tokens  "))
      try other.type("/frob\n")
      try other.wait(for: "there is no command /frob")
    }
  }
}

/// A command at a pseudo-terminal.
final class ChatTerminal {
  struct Missing: Error {
    let text: String
    let screen: String
  }

  private let process = Process()
  private let near: FileHandle
  private(set) var screen = ""
  /// What has been waited for already.
  private var seen: String.Index

  init(_ arguments: [String], folder: String) throws {
    var (near, far): (Int32, Int32) = (-1, -1)
    guard openpty(&near, &far, nil, nil, nil) == 0 else { throw CocoaError(.fileReadUnknown) }
    self.near = FileHandle(fileDescriptor: near, closeOnDealloc: true)
    let terminal = FileHandle(fileDescriptor: far, closeOnDealloc: true)
    seen = screen.startIndex
    process.executableURL = Sluice.executable
    process.arguments = arguments
    process.environment = ["HOME": folder, "PATH": "/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8"]
    (process.standardInput, process.standardOutput, process.standardError) = (terminal, terminal, terminal)
    try process.run()
  }

  func type(_ text: String) throws { try near.write(contentsOf: Array(text.utf8)) }

  /// What Ctrl-C at the terminal of a foreground process is.
  func interrupt() { kill(process.processIdentifier, SIGINT) }

  /// Interrupts again and again until the screen shows a text: between two keys there is a moment at which a signal ends
  /// nothing, and a person would press Ctrl-C once more.
  func interrupt(until text: String) throws {
    for _ in 0..<20 {
      interrupt()
      if (try? wait(for: text, attempts: 600)) != nil { return }
    }
    throw Missing(text: text, screen: screen)
  }

  /// Waits until the screen shows a text behind what was waited for before.
  ///
  /// - Parameter attempts: looks at the screen, a hundredth of a second apart where nothing comes
  /// - Throws: `Missing` where the command ends, or shows it in no time in which it could
  func wait(for text: String, attempts: Int = 12_000) throws {
    for _ in 0..<attempts {
      if let range = screen[seen...].range(of: text) {
        seen = range.upperBound
        return
      }
      guard read() || process.isRunning else { break }
    }
    throw Missing(text: text, screen: screen)
  }

  /// - Returns: whether anything came within a hundredth of a second
  private func read() -> Bool {
    var input = pollfd(fd: near.fileDescriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&input, 1, 10) > 0 else { return false }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = Foundation.read(near.fileDescriptor, &bytes, bytes.count)
    guard count > 0 else { return false }
    let offset = screen.utf8.distance(from: screen.startIndex, to: seen)
    screen += String(decoding: bytes[..<count], as: UTF8.self).replacing("\r\n", with: "\n")
    seen = screen.utf8.index(screen.startIndex, offsetBy: offset)
    return true
  }

  func lastLine(beginning text: String) -> Substring? {
    screen.split(separator: "\n").last { $0.hasPrefix(text) }
  }

  func end() {
    // Foundation starts processes with other signals blocked.
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }
}

import Engine
import Foundation
import KVCaches
import Weights

/// A conversation at a terminal or in a pipe: messages in, answers out.
struct Chat {
  private let loaded: LanguageModel.Loaded
  private let state: SessionState
  private let options: GenerationOptions
  private let scheduler: Scheduler
  private var screen: ChatScreen
  private var progress = ProgressLine.standardError()

  init(_ loaded: LanguageModel.Loaded, _ state: SessionState, _ options: GenerationOptions, screen: ChatScreen) {
    (self.loaded, self.state, self.options, self.screen) = (loaded, state, options, screen)
    scheduler = Scheduler(engine: loaded.engine)
  }

  /// Answers until the input ends.
  mutating func run() throws {
    guard isatty(STDIN_FILENO) == 1 else {
      while let line = readLine() {
        guard !line.isEmpty, try take(line) else { return }
      }
      return
    }
    Interruption.watch()
    let editor = LineEditor(historyPath: LineEditor.defaultHistoryPath())
    StandardError.write("Ctrl-C stops an answer, /help lists commands, Ctrl-D ends the chat.\n")
    while true {
      guard let message = editor.message(prompt: "> ") else {
        StandardError.write("\n")
        if Interruption.take() { continue }
        return
      }
      // A Ctrl-C at the prompt is for the line, not for the answer to come.
      _ = Interruption.take()
      if message.allSatisfy(\.isWhitespace) { continue }
      editor.remember(message)
      do {
        guard try take(message) else { return }
      } catch {
        // What is wrong with one message leaves the chat as it was.
        StandardError.write("sluice: \(error)\n")
      }
    }
  }

  /// - Returns: whether the chat goes on
  private mutating func take(_ message: String) throws -> Bool {
    guard message.hasPrefix("/"), let command = ChatInstruction(message) else {
      try answer(message)
      return true
    }
    do {
      return try perform(command)
    } catch {
      StandardError.write("sluice: \(error)\n")
      return true
    }
  }

  private mutating func answer(_ message: String) throws {
    try state.begin(.turn(message), options, loaded.engine)
    let prompt = state.lastStep.tokens.count
    while let sequence = state.requestToken() {
      let hasLogits = try scheduler.logits(
        of: sequence,
        while: {
          progress.update(
            StreamStatus(
              label: "read", tokens: prompt - sequence.waitingTokens, totalTokens: prompt, cacheBytes: sequence.bytes))
          return !Interruption.hasCome
        },
        { logits in
          progress.clear()
          screen.show(try state.accept(logits))
        })
      guard hasLogits, !Interruption.hasCome else {
        progress.clear()
        screen.show(state.cancel())
        break
      }
    }
    screen.finish()
    if Interruption.take() { StandardError.write("(stopped)\n") }
  }

  private mutating func perform(_ instruction: ChatInstruction) throws -> Bool {
    switch instruction {
    case .exit: return false
    case .help: StandardError.write(ChatInstruction.overview)
    case .undo: try state.takeBackRequest()
    case .memory: StandardError.write(try ChatMemory(state, loaded.engine).text)
    case .save(let path): try OutputFile.write(state.saved(by: loaded.engine, model: modelName), to: path)
    case .load(let path):
      try state.load(try MappedFile.contents(of: path), name: path, model: modelName, into: loaded.engine)
      let said = (state.conversation?.messages ?? []) + (state.answer.map { [$0] } ?? [])
      for message in said.suffix(2) { StandardError.write("\(message.role.rawValue): \(message.content)\n") }
    case .unknown(let name): throw CommandError("there is no command \(name); /help lists those there are")
    case .incomplete(let name): throw CommandError("\(name) needs the name of a file")
    }
    return true
  }

  /// By which a saved chat is told from those of other models.
  private var modelName: String { FilePath.name(of: loaded.path) }
}

import ArgumentParser
import Engine
import Foundation
import KVCaches
import Models

struct ChatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Talk with the model, as long as you like.",
    discussion: "Each line you type is a message; end with an empty line, Ctrl-D, or /exit. "
      + "With --undo, /undo takes back the last message and its answer.")

  @OptionGroup var model: ModelOptions
  @Option(
    name: .long,
    help: ArgumentHelp(
      "What is remembered; see 'sluice run --help'. Without it 4 sinks and a window, 4,096 tokens or as many as the "
        + "model was trained for.", valueName: "spec"))
  var cache: String?
  @OptionGroup var slots: SlotTypeOption
  @OptionGroup var sampling: SamplingFlags
  @Option(
    name: [.customShort("n"), .customLong("predict")], parsing: .unconditional, help: "The most tokens of an answer.")
  var predict: Int?
  @Option(name: .long, help: "The system message; the model's own without it.")
  var system: String?

  @Option(
    name: .long, parsing: .unconditional,
    help: ArgumentHelp("How many of the newest tokens /undo can take back; each takes memory.", valueName: "tokens"))
  var undo: Int = 0

  func validate() throws {
    guard (0...KVCache.largestUndoDepth).contains(undo) else {
      throw ValidationError("--undo must be between 0 and \(KVCache.largestUndoDepth), but is \(undo)")
    }
    if let predict, predict < -1 {
      throw ValidationError("--predict must be 0 or more, or -1 for no limit, but is \(predict)")
    }
  }

  func run() throws {
    let named = try cache.map { specification throws(KVCacheError) in
      try KVCache.Plan(specification, resolver: .files)
    }
    let loaded = try model.load()
    let budget = min(4096, loaded.engine.model.configuration.trainedLength)
    let plan =
      named
      ?? KVCache.Plan {
        Sinks(4); Window(max(1, budget - 4))
      }
    guard let format = ChatML(tokenizer: loaded.tokenizer) else {
      throw CommandError("this model's vocabulary has no ChatML tokens, so it cannot chat yet")
    }
    var writer = try TextWriter(loaded, plan: plan, slotType: slots.cacheType)
    if undo > 0 { try writer.sequence.keepUndoLog(depth: undo) }
    if let system = system ?? loaded.defaultInstructions { writer.read(format.message(.system, system)) }
    let isInteractive = isatty(STDIN_FILENO) == 1
    // How many tokens the sequence had before each message.
    var marks: [Int] = []
    while true {
      if isInteractive { StandardError.write("> ") }
      guard let line = readLine(), !line.isEmpty, line != "/exit" else { return }
      if line == "/undo" {
        takeBack(&marks, writer.sequence)
        continue
      }
      marks.append(writer.sequence.count)
      marks.removeAll { $0 < writer.sequence.count - undo }
      writer.read(format.message(.user, line) + format.messageHead(.assistant))
      _ = try writer.write(sampling: sampling.options, stopStrings: [], limit: predict == -1 ? nil : predict) {
        StandardOutput.write($0)
      }
      StandardOutput.write("\n")
      writer.read(format.endOfMessage)
    }
  }

  /// Takes back the last message; where that cannot be, says so and changes nothing.
  private func takeBack(_ marks: inout [Int], _ sequence: Sequence) {
    guard undo > 0 else { return StandardError.write("sluice: messages can be taken back with --undo TOKENS\n") }
    guard let mark = marks.last else { return StandardError.write("sluice: there is no message to take back\n") }
    do throws(KVCacheError) {
      try sequence.rollBack(tokens: sequence.count - mark)
      marks.removeLast()
    } catch {
      StandardError.write("sluice: \(error)\n")
    }
  }
}

import ArgumentParser
import ChatTemplates
import Engine
import Foundation
import KVCaches
import Models

struct ChatCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat",
    abstract: "Talk with the model, as long as you like.",
    discussion: """
      Each line you type is a message; lines pasted together are one. Ctrl-C stops an answer, Ctrl-D or /exit ends the
      chat. /undo takes back the last message and its answer, /save FILE and /load FILE keep a chat for later, /memory
      tells what the model remembers, /help lists all.
      """)

  @OptionGroup var model: ModelOptions
  @Option(
    name: .long,
    help: ArgumentHelp(
      "What is remembered; see 'sluice run --help'. Without it 4 sinks and a window, 4,096 tokens or as many as the "
        + "model was trained for.", valueName: "spec"))
  var cache: String?
  @OptionGroup var slots: SlotTypeOption
  @OptionGroup var sampling: SamplingFlags
  @OptionGroup var template: ChatTemplateOption
  @OptionGroup var speculation: SpeculationOption
  @Option(
    name: [.customShort("n"), .customLong("predict")], parsing: .unconditional, help: "The most tokens of an answer.")
  var predict: Int?
  @Option(name: .long, help: "The system message; the template's own without it.")
  var system: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "What becomes of the model's thoughts: show (dimmed), hide, or off, which asks the model not to think. Without it they "
        + "are shown on a terminal only.", valueName: "show|hide|off"),
    transform: { text in
      guard let thoughts = ChatScreen.Thoughts(rawValue: text) else {
        throw ValidationError("--think is show, hide or off, not '\(text)'")
      }
      return thoughts
    })
  var think: ChatScreen.Thoughts?
  @Option(
    name: .long, parsing: .unconditional,
    help: ArgumentHelp(
      "How many of the newest tokens /undo can take back; each takes memory. 1,024 without it, where the cache can.",
      valueName: "tokens"))
  var undo: Int?

  func validate() throws {
    if let undo, !(0...KVCache.largestUndoDepth).contains(undo) {
      throw ValidationError("--undo must be between 0 and \(KVCache.largestUndoDepth), but is \(undo)")
    }
    if let predict, predict < -1 {
      throw ValidationError("--predict must be 0 or more, or -1 for no limit, but is \(predict)")
    }
  }

  func run() throws {
    let named = try cache.map { specification throws(KVCacheError) in
      try CacheRequest(specification, resolver: .files)
    }
    let loaded = try model.load()
    let configuration = loaded.engine.model.configuration
    let request =
      named
      ?? .plan(
        KVCache.Plan {
          Sinks(4); Window(max(1, min(4096, configuration.trainedLength) - 4))
        })
    let memory = try request.resolved(for: configuration, slotType: slots.cacheType)
    let isTerminal = StandardOutput.isTerminal
    let thoughts = think ?? (isTerminal ? .show : .hide)
    var conversation = try template.template(of: loaded)
    if thoughts == .off { conversation.thinking = false }
    let makeState = { (undoDepth: Int) in
      SessionState(
        tokenizer: loaded.tokenizer, template: .success(conversation), plan: memory.plan, slotType: memory.slotType,
        instructions: system, undoDepth: undoDepth, speculation: speculation.speculate)
    }
    let state = makeState(try undoDepth(memory, loaded))
    let options = GenerationOptions(
      sampling: sampling.options(defaults: loaded.samplingDefaults),
      maximumResponseTokens: predict == -1 ? nil : predict)
    var chat = Chat(
      loaded, state, options,
      screen: ChatScreen(thoughts, isTerminal: isTerminal) { StandardOutput.write($0) })
    try chat.run()
  }

  /// As many tokens as were asked for; where nobody asked, none under a cache that cannot take tokens back.
  private func undoDepth(_ memory: CacheRequest.Resolved, _ loaded: LanguageModel.Loaded) throws -> Int {
    if let undo { return undo }
    let probe = try loaded.engine.makeSequence(memory.plan, slotType: memory.slotType)
    return (try? probe.keepUndoLog(depth: Self.usualUndoDepth)) == nil ? 0 : Self.usualUndoDepth
  }

  private static let usualUndoDepth = 1024
}

/// Which chat template writes the messages.
struct ChatTemplateOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "A template's file, or a known one's name, in place of the model's own: chatml, gemma, llama2, llama3, phi3, zephyr.",
      valueName: "name|file"))
  var chatTemplate: String?

  func template(of loaded: LanguageModel.Loaded) throws -> ConversationTemplate {
    guard let chatTemplate else { return try loaded.template.get() }
    return try ConversationTemplate(named: chatTemplate, tokenizer: loaded.tokenizer)
  }
}

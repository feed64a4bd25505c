import ArgumentParser
import Engine
import Foundation
import KVCaches
import Models

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Continue a text of any length.",
    discussion: """
      The text is -p, -f FILE (- is standard input), or standard input when it is a pipe; it may be far longer than the
      model's context, and a pipe need not end. Special tokens in it stay text unless --special is given.
      With --session NAME the stream goes on where its last run ended, however that ended; 'sluice sessions' lists them.
      """)

  @OptionGroup var model: ModelOptions
  @Option(name: .long, help: CacheOptions.cacheHelp)
  var cache: String?
  @Option(name: .long, help: SlotTypeOption.help, transform: SlotTypeOption.slotType)
  var cacheType: KVCache.SlotType?
  @OptionGroup var session: RunSession
  @OptionGroup var sampling: SamplingFlags
  @OptionGroup var template: ChatTemplateOption
  @OptionGroup var speculation: SpeculationOption
  @OptionGroup var workers: WorkerOptions

  @Option(name: [.short, .long], help: "The text to continue.")
  var prompt: String?
  @Option(name: [.short, .long], help: "A file with the text to continue; - is standard input.")
  var file: String?
  @Option(
    name: [.customShort("n"), .customLong("predict")], parsing: .unconditional,
    help: "The most tokens to write; until the model ends without it.")
  var predict: Int?
  @Option(name: .long, help: "A text that ends the output; may be given several times.")
  var stop: [String] = []
  @Flag(name: .long, help: "Put the text into the model's chat frame as a user's message.")
  var chat = false
  @Flag(name: .long, help: "Let special tokens written in the text act as such.")
  var special = false

  func validate() throws {
    guard prompt == nil || file == nil else { throw ValidationError("give either --prompt or --file, not both") }
    if let predict, predict < -1 {
      throw ValidationError("--predict must be 0 or more, or -1 for no limit, but is \(predict)")
    }
    guard !stop.contains("") else { throw ValidationError("--stop needs a text, but is empty") }
    guard chat || template.chatTemplate == nil else { throw ValidationError("--chat-template needs --chat") }
    guard prompt != nil || file != nil || isatty(STDIN_FILENO) == 0 || session.session != nil else {
      throw ValidationError("there is no text: give --prompt, --file, or a pipe")
    }
  }

  func run() throws {
    let source = try source()
    let store = try session.session.map { _ in try session.store.open() }
    let request = try cache.map { text throws(KVCacheError) in try CacheRequest(text, resolver: .files) }
    let loaded = try model.load()
    let (plan, slotType) = try session.cache(
      request, cacheType, for: loaded.engine.model.configuration, in: store)
    try workers.attend(loaded.engine)
    var writer = try TextWriter(loaded, plan: plan, slotType: slotType, speculation: speculation.speculate)
    if let store, let name = session.session {
      try writer.resume(name, in: store, saveEvery: .seconds(session.saveEvery))
    }
    try read(source, loaded, &writer)
    guard writer.sequence.count > 0 else { throw CommandError("the text is empty") }
    guard writer.sequence.waitingTokens > 0 else {
      throw CommandError("the session's text has ended; give it more to go on with")
    }
    _ = try writer.write(
      sampling: sampling.options(defaults: chat ? loaded.samplingDefaults : SamplingDefaults()), stopStrings: stop,
      limit: predict == -1 ? nil : predict
    ) {
      StandardOutput.write($0)
    }
    StandardOutput.write("\n")
    try writer.finish()
  }

  /// The text to read; nil where a session goes on without any.
  private func source() throws -> TextSource? {
    if let prompt { return TextSource(text: prompt) }
    if file == nil, isatty(STDIN_FILENO) == 1 { return nil }
    return try TextSource(path: file ?? "-")
  }

  private func read(_ source: TextSource?, _ loaded: LanguageModel.Loaded, _ writer: inout TextWriter) throws {
    guard let source else { return }
    if chat {
      let frame = try template.template(of: loaded).frame()
      writer.read(template: frame.before)
      try writer.read(source, parsesSpecialTokens: special)
      writer.read(frame.after)
    } else {
      try writer.read(source, parsesSpecialTokens: special)
    }
  }
}

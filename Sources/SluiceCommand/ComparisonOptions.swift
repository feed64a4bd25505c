import ArgumentParser
import Engine
import Foundation
import KVCaches

/// Texts that are read under several caches, each with a full cache beside it, and the positions at which they are compared.
struct ComparisonOptions: ParsableArguments {
  @OptionGroup var model: ModelOptions
  @Argument(help: "Text files; - is standard input.")
  var texts: [String]
  @Option(name: .long, help: ArgumentHelp("A cache; may be given several times.", valueName: "spec"))
  var cache: [String]
  @OptionGroup var slots: SlotTypeOption
  @Option(
    name: .long,
    help: ArgumentHelp("Where to look, in tokens read, with commas in between.", valueName: "position,…"))
  var at: NumberList<Int>
  @Option(name: .long, help: "The last tokens before a position, over which errors are averaged.")
  var last = 64

  func validate() throws {
    try at.check("--at", in: 1...1 << 24)
    guard (1...1 << 16).contains(last) else { throw ValidationError("--last must be from 1 to 65536, but is \(last)") }
    guard texts.count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("standard input can be read only once")
    }
  }

  /// What is compared, with everything read that can be wrong.
  struct Comparison {
    let plans: [(name: String, plan: KVCache.Plan)]
    let loaded: LanguageModel.Loaded
    /// Ascending.
    let positions: [Int]
    /// The tokens up to the last position.
    let text: [Int32]
    /// The names of the texts, and of the model's file.
    let textName, modelName: String
  }

  /// Reads specifications, texts and model.
  ///
  /// - Parameters:
  ///   - outputs: files that will be written, which are tried before the model is loaded
  ///   - isQuiet: keeps notes about the model's files from standard error
  func load(outputs: [String?], isQuiet: Bool) throws -> Comparison {
    for specification in cache { try KVCache.Plan.check(specification) }
    let sources = try texts.map { path throws(CommandError) in try TextSource(path: path) }
    for path in outputs.compactMap({ $0 }) { try OutputFile.check(path) }
    let loaded = try model.load(isQuiet: isQuiet)
    let plans = try cache.map { specification throws(KVCacheError) in
      (name: specification, plan: try loaded.plan(specification))
    }
    let positions = at.values.sorted()
    return Comparison(
      plans: plans, loaded: loaded, positions: positions,
      text: try TextSource.tokens(of: sources, upTo: positions.last ?? 0, loaded.tokenizer),
      textName: texts.count == 1 ? FilePath.name(of: texts[0]) : "\(texts.count) texts",
      modelName: FilePath.name(of: loaded.path))
  }
}

import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import Kernels
import Models
import Tokenizers

struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "See in two minutes what a bounded cache does.",
    discussion: """
      The model reads a text far past its trained length, with everything kept and with the same small budget kept in
      three ways, side by side. It reads as far as there is time for; where that would not reach far enough past the
      trained length, caches that are there only to compare with stop earlier. Ends with a table, a plot of perplexity
      and memory, and an answer in chat. Without a text it reads the documentation and sources in the current folder.
      """)

  @OptionGroup var model: ModelOptions
  @Argument(help: "Text files to read.")
  var texts: [String] = []
  @Option(name: .long, help: "Tokens of each bounded cache.")
  var budget = 512
  @Option(name: .long, help: "The most tokens of the text that are read.")
  var tokens = 16_384
  @Option(name: .long, help: "The most seconds that reading may take.")
  var seconds = 110
  @Option(name: .long, help: "Where the plot goes.")
  var output = "sluice-demo.svg"
  @Option(name: .long, help: "What the model is asked at the end.")
  var question = "Why does a river keep flowing?"

  func validate() throws {
    guard (8...1 << 28).contains(budget) else {
      throw ValidationError("--budget must be from 8 to \(1 << 28), but is \(budget)")
    }
    guard (2...1 << 40).contains(tokens) else {
      throw ValidationError("--tokens must be from 2 to \(1 << 40), but is \(tokens)")
    }
    guard (1...1_000_000).contains(seconds) else {
      throw ValidationError("--seconds must be from 1 to 1000000, but is \(seconds)")
    }
  }

  func run() throws {
    let paths = try texts.isEmpty ? Self.projectTexts() : texts
    for path in paths { _ = try TextSource(path: path) }
    try OutputFile.check(output)
    let loaded = try model.load()
    let ids = try read(paths, loaded.tokenizer)
    let trained = loaded.engine.model.configuration.trainedLength
    StandardOutput.write(
      "\(FilePath.name(of: loaded.path)), trained for \(HumanReadable.tokens(trained)), reads "
        + "\(HumanReadable.tokens(ids.count)) on \(loaded.engine.team.threads) threads (\(loaded.engine.kernels.name)).\n\n"
    )
    // Everything kept holds on for a third longer than it was trained for.
    let enough = trained + trained * 7 / 16
    let curves = try measure(ids, loaded, enough: enough)
    StandardOutput.write(DemoCurve.table(curves).text)
    if let full = curves.first, full.tokens < min(enough, ids.count - 1) {
      StandardOutput.write(
        "\nTime ended before everything kept could break, about \(HumanReadable.tokens(enough)) on: see --seconds.\n")
    }
    try OutputFile.write(DemoCurve.plot(curves, budget: budget, trainedLength: trained).svg(), to: output)
    StandardOutput.write("\nThe plot is in \(output).\n\n")
    try answer(loaded)
  }

  private var streamingPlan: KVCache.Plan {
    KVCache.Plan {
      Sinks(4)
      Window(budget - 4)
    }
  }

  private var policies: [CachePolicy] {
    [
      .plan(.full, name: "full"), .plan(KVCache.Plan { Window(budget) }, name: "window:\(budget)"),
      .plan(streamingPlan, name: "streaming-llm:4+\(budget - 4)"),
      .recompute(window: budget, stride: budget / 2),
    ]
  }

  /// The documentation and sources in the current folder, documentation first.
  private static func projectTexts() throws(CommandError) -> [String] {
    var paths = ["README.md", "CONTRIBUTING.md"].filter { FileManager.default.fileExists(atPath: $0) }
    for (folder, suffix) in [("docs", ".md"), ("Sources", ".swift")] {
      let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
      paths += files.filter { $0.hasSuffix(suffix) }.sorted().map { folder + "/" + $0 }
    }
    guard !paths.isEmpty else {
      throw CommandError("there is no text in this folder: name one, as in 'sluice demo novel.txt'")
    }
    return paths
  }

  private func read(_ paths: [String], _ tokenizer: Tokenizer) throws -> [Int32] {
    var ids: [Int32] = []
    if tokenizer.addsBeginOfSequence, let begin = tokenizer.beginOfSequence { ids.append(begin) }
    for path in paths where ids.count < tokens {
      var encoder = IncrementalEncoder(tokenizer)
      try TextSource(path: path).forEachPiece { bytes in
        ids += encoder.append(bytes)
        return ids.count < tokens
      }
      ids += encoder.finish()
    }
    guard ids.count >= 2 else { throw CommandError("the text has fewer than two tokens") }
    return Array(ids.prefix(tokens))
  }

  /// Lets all caches read the text, a chunk each at a time.
  private func measure(_ ids: [Int32], _ loaded: LanguageModel.Loaded, enough: Int) throws -> [DemoCurve] {
    var progress = ProgressLine.standardError(linesEvery: .seconds(10))
    let runs = try policies.map { try PerplexityRun(engine: loaded.engine, policy: $0) }
    var curves = policies.map { DemoCurve(name: $0.description) }
    let clock = ContinuousClock()
    let start = clock.now
    var rounds = DemoRounds(
      caches: runs.count, tokens: ids.count - 1, chunk: loaded.engine.chunk, enough: enough,
      limit: .seconds(seconds), optional: [3, 1], now: { clock.now - start })
    let status = { (rounds: DemoRounds) in
      DemoStatus(
        tokens: rounds.position, goal: rounds.goal, secondsLeft: Double(seconds) - rounds.elapsed,
        caches: curves.map(\.status))
    }
    rounds.run { cache, range in
      let begin = clock.now
      let record = { curves[cache].append($0, cacheBytes: runs[cache].cacheBytesPeak) }
      // The token after the last one is only predicted.
      runs[cache].append(
        Array(ids[(range.lowerBound == 0 ? 0 : range.lowerBound + 1)...range.upperBound]), afterStep: record)
      runs[cache].finish(afterStep: record)
      curves[cache].finish(runs[cache], seconds: (clock.now - begin) / .seconds(1))
    } afterChunk: {
      progress.update(status($0))
    }
    progress.finish(status(rounds))
    return curves
  }

  private func answer(_ loaded: LanguageModel.Loaded) throws {
    guard let template = try? loaded.template.get() else { return }
    var writer = try TextWriter(loaded, plan: streamingPlan, slotType: .float16)
    writer.read(template: try template.render([ChatMessage(.user, question)], opensAnswer: true).tokens(after: 0))
    StandardOutput.write("> \(question)\n")
    _ = try writer.write(sampling: .greedy, stopStrings: [], limit: 120) { StandardOutput.write($0) }
    StandardOutput.write("\n")
  }
}

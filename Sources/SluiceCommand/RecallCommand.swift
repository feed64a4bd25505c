import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches

struct RecallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recall",
    abstract: "Whether numbers in a prompt are found again under one or more caches.",
    discussion: """
      Each prompt is completed greedily from an empty cache, and the first number in the answer counts. Exact match is the \
      share of right numbers; digit accuracy the mean share of their digits that stand in the right place.

      The prompts come from a file, a line each: {"prompt": "...", "expected_number": 48213}; a "depth" from 0 to 1 lets \
      --plot sort them. Or they are made, by --task:

      pass-key: a five-digit key in a text, said twice in one place; with --needle cascade six times behind an \
      instruction, as in the published runs of cascades, where digit accuracy counts the first five digits of an answer.
      needle: a number in a text, said once and by name.
      lines: a record of named lines with a number each, one of which is asked for.
      stream-eval: an endless stream of numbered lines with a query after every tenth, which asks for the number some \
      lines back. Nothing is reset, the right answer stays in the stream, and --lengths says where windows of it end.
      """)

  @OptionGroup var model: ModelOptions
  @Argument(help: ArgumentHelp("Cases, one JSON object a line; - is standard input.", valueName: "cases.jsonl"))
  var file: String?
  @Option(name: .long, help: ArgumentHelp("A cache; may be given several times.", valueName: "spec"))
  var cache: [String] = ["full"]
  @OptionGroup var slots: SlotTypeOption
  @OptionGroup var sweep: SweepOptions
  @Option(name: .long, help: "The most tokens of an answer; 32 without it, 50 with --needle cascade.")
  var answerTokens: Int?
  @Flag(name: .long, help: "Print a line for every length and depth, too.")
  var perPoint = false
  @Flag(name: .long, help: "Print JSON: one object per cache, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw digit accuracy by depth and length.", valueName: "file.svg"))
  var plot: String?
  @Option(name: .long, help: "Print a line of progress to standard error every so many cases.")
  var progressEvery: Int?

  func validate() throws {
    try sweep.check(hasFile: file != nil, needsGrid: plot != nil || perPoint)
    if let answerTokens, !(1...1024).contains(answerTokens) {
      throw ValidationError("--answer-tokens must be from 1 to 1024, but is \(answerTokens)")
    }
    if answerTokens != nil, file == nil, sweep.kind == .streamEval {
      throw ValidationError("--answer-tokens means nothing to stream-eval, whose stream holds the right answers")
    }
    if let progressEvery, progressEvery < 1 {
      throw ValidationError("--progress-every must be at least 1, but is \(progressEvery)")
    }
  }

  func run() throws {
    let plans = try cache.map { specification throws(KVCacheError) in
      (name: specification, plan: try KVCache.Plan(specification, resolver: .files))
    }
    let input = try file.map { path throws(CommandError) in (path: path, source: try TextSource(path: path)) }
    let filler = try sweep.filler()
    if let plot { try OutputFile.check(plot) }
    let loaded = try model.load(isQuiet: json)
    let cases =
      if let input {
        try read(input.source, path: input.path, loaded)
      } else {
        try sweep.cases(tokenizer: loaded.tokenizer, filler: filler)
      }
    let report = RecallReport(grid: perPoint ? sweep.grid : nil)
    var results: [RecallResult] = []
    for (name, plan) in plans {
      let result = try measure(plan, name, cases, loaded)
      results.append(result)
      if json { for line in report.jsonLines(result) { StandardOutput.write(line + "\n") } }
    }
    if !json { StandardOutput.write(report.table(results).text) }
    if let plot {
      let what = file.map(FilePath.name(of:)) ?? sweep.title
      let title = "\(what), \(FilePath.name(of: loaded.path))"
      try OutputFile.write(RecallReport(grid: sweep.grid).plot(results, title: title).svg(), to: plot)
    }
  }

  /// - Parameter cases: nil for streams
  private func measure(
    _ plan: KVCache.Plan, _ name: String, _ cases: RecallCases?, _ loaded: LanguageModel.Loaded
  ) throws -> RecallResult {
    let measurement = RecallMeasurement(
      loaded: loaded, plan: plan, name: name, slotType: slots.type, progressEvery: progressEvery)
    guard let cases else { return try measurement.run(streams: sweep) }
    return try measurement.run(cases, answerTokens: answerTokens ?? sweep.answerTokens)
  }

  private func read(_ source: TextSource, path: String, _ loaded: LanguageModel.Loaded) throws -> RecallCases {
    let cases = try RecallCases(
      parsing: Self.bytes(of: source, path: path), path: path, tokenizer: loaded.tokenizer, grid: sweep.grid)
    guard try plot == nil && !perPoint || (0..<cases.count).contains(where: { try cases($0).point != nil }) else {
      throw CommandError("\(path): no case has a \"depth\", so there is nothing to tell apart by it")
    }
    return cases
  }

  /// A file of cases is read whole, but an endless one is no file of cases.
  private static let longestFile = 1 << 30

  private static func bytes(of source: TextSource, path: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try source.forEachPiece { piece in
      bytes += piece
      guard bytes.count <= longestFile else {
        throw CommandError("\(path): more than \(HumanReadable.bytes(longestFile)) are no file of cases")
      }
      return true
    }
    return bytes
  }
}

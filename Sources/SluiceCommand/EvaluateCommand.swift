import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import Kernels
import ModelJSON
import Tokenizers

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure what a cache does to a model.",
    subcommands: [
      PerplexityCommand.self, RecallCommand.self, AttentionCommand.self, ErrorCommand.self, SketchCommand.self,
      EvaluateSessionsCommand.self, OffloadCommand.self,
    ])
}

struct PerplexityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "perplexity",
    abstract: "Streaming perplexity of texts under one or more caches.",
    discussion: """
      The texts are one stream: every next token is scored and nothing is reset, unless --per-file is given. Besides the
      caches of 'sluice run', --cache recompute:WINDOW[/STRIDE] computes a sliding window afresh for every stride.
      """)

  @OptionGroup var model: ModelOptions
  @Argument(help: "Text files; - is standard input.")
  var texts: [String]
  @Option(name: .long, help: ArgumentHelp("A cache; may be given several times.", valueName: "spec"))
  var cache: [String] = ["full"]
  @OptionGroup var slots: SlotTypeOption
  @Option(name: .long, help: "Stop after this many tokens.")
  var tokens: Int?
  @Flag(name: .long, help: "Start afresh with every file.")
  var perFile = false
  @Flag(name: .long, help: "Print one JSON object per cache, a line each.")
  var json = false
  @Option(name: .long, help: "Print a line of progress to standard error every so many tokens.")
  var progressEvery: Int?

  func validate() throws {
    if let tokens, tokens < 2 { throw ValidationError("--tokens must be at least 2, but is \(tokens)") }
    if let progressEvery, progressEvery < 1 {
      throw ValidationError("--progress-every must be at least 1, but is \(progressEvery)")
    }
    let inputs = texts.count { $0 == "-" }
    guard inputs == 0 || (inputs == 1 && cache.count == 1) else {
      throw ValidationError("standard input can be read only once, so give it once and one --cache with it")
    }
  }

  func run() throws {
    for specification in cache where !specification.hasPrefix("recompute") { try KVCache.Plan.check(specification) }
    for text in texts { _ = try TextSource(path: text) }
    let loaded = try model.load(isQuiet: json)
    let policies = try cache.map { specification throws(KVCacheError) in
      try CachePolicy(specification, resolver: .files.model(loaded.trainedMemory))
    }
    var results: [Result] = []
    for policy in policies {
      let result = try measure(policy, loaded)
      results.append(result)
      if json { StandardOutput.write(result.json.text + "\n") }
    }
    if !json { StandardOutput.write(Result.table(results)) }
  }

  private func measure(_ policy: CachePolicy, _ loaded: LanguageModel.Loaded) throws -> Result {
    var progress = ProgressLine.standardError()
    var total = Result(cache: policy.description)
    let groups = perFile ? texts.map { [$0] } : [texts]
    let clock = ContinuousClock()
    let start = clock.now
    for group in groups {
      let run = try PerplexityRun(engine: loaded.engine, policy: policy, slotType: slots.type)
      try stream(group, into: run, loaded, total, &progress, parts: &total.parts)
      total.add(run)
    }
    total.seconds = (clock.now - start) / .seconds(1)
    progress.finish(total.status)
    guard total.tokens > 0 else { throw CommandError("there is nothing to score: the text has fewer than two tokens") }
    guard total.totalNegativeLogLikelihood.isFinite else {
      throw CommandError("\(loaded.path): the model gives no finite probabilities; its weights are broken")
    }
    return total
  }

  private func stream(
    _ paths: [String], into run: PerplexityRun, _ loaded: LanguageModel.Loaded, _ before: Result,
    _ progress: inout ProgressLine, parts: inout [JSONValue]
  ) throws {
    var left = tokens ?? .max
    var lineAt = progressEvery ?? .max
    let clock = ContinuousClock()
    var lineTime = clock.now
    var lineTokens = 0
    var lineSum = 0.0
    func feed(_ ids: [Int32]) {
      let part = Array(ids.prefix(left))
      left -= part.count
      run.append(part) { _ in
        progress.update(before.adding(run).status)
        guard run.scoredTokens >= lineAt else { return }
        let (now, count) = (clock.now, run.scoredTokens - lineTokens)
        let perplexity = exp((run.totalNegativeLogLikelihood - lineSum) / Double(count))
        let rate = Double(count) / ((now - lineTime) / .seconds(1))
        parts.append([
          "tokens": JSONValue(run.scoredTokens), "perplexity": JSONValue(perplexity),
          "tokensPerSecond": JSONValue(rate),
          "cacheBytes": JSONValue(run.cacheBytesPeak), "residentBytes": JSONValue(residentBytes()),
        ])
        StandardError.write(
          "\(run.scoredTokens) tokens, perplexity of the last \(count) \(HumanReadable.decimal(perplexity, places: 2)), "
            + "\(HumanReadable.rate(tokensPerSecond: rate)), "
            + "cache \(run.cacheBytesPeak) bytes, resident \(residentBytes()) bytes\n")
        lineAt += progressEvery ?? 0
        (lineTime, lineTokens, lineSum) = (now, run.scoredTokens, run.totalNegativeLogLikelihood)
      }
    }
    if loaded.tokenizer.addsBeginOfSequence, let begin = loaded.tokenizer.beginOfSequence { feed([begin]) }
    for path in paths {
      var encoder = IncrementalEncoder(loaded.tokenizer)
      try TextSource(path: path).forEachPiece { bytes in
        feed(encoder.append(bytes))
        return left > 0
      }
      if left > 0 { feed(encoder.finish()) }
    }
    run.finish()
  }

  /// One line of the result.
  private struct Result {
    var cache: String
    var tokens = 0
    var totalNegativeLogLikelihood = 0.0
    var cacheBytesPeak = 0
    var seconds = 0.0
    /// What --progress-every reported.
    var parts: [JSONValue] = []

    mutating func add(_ run: PerplexityRun) { self = adding(run) }

    func adding(_ run: PerplexityRun) -> Result {
      var sum = self
      sum.tokens += run.scoredTokens
      sum.totalNegativeLogLikelihood += run.totalNegativeLogLikelihood
      sum.cacheBytesPeak = max(cacheBytesPeak, run.cacheBytesPeak)
      return sum
    }

    private var negativeLogLikelihood: Double { totalNegativeLogLikelihood / Double(max(tokens, 1)) }
    private var tokensPerSecond: Double { Double(tokens) / max(seconds, 1e-9) }

    var status: StreamStatus {
      StreamStatus(
        label: cache, tokens: tokens, cacheBytes: cacheBytesPeak,
        perplexity: tokens > 0 ? exp(negativeLogLikelihood) : nil)
    }

    var json: JSONValue {
      var object = JSONObject()
      let members: [(String, JSONValue)] = [
        ("cache", JSONValue(cache)), ("tokens", JSONValue(tokens)), ("nll", JSONValue(negativeLogLikelihood)),
        ("perplexity", JSONValue(exp(negativeLogLikelihood))), ("cacheBytesPeak", JSONValue(cacheBytesPeak)),
        ("tokensPerSecond", JSONValue(tokensPerSecond)),
      ]
      for (key, value) in members { object[key] = value }
      if !parts.isEmpty { object["parts"] = .array(parts) }
      return .object(object)
    }

    static func table(_ results: [Result]) -> String {
      var table = TextTable([
        .init("cache"), .init("tokens", .trailing), .init("perplexity", .trailing), .init("cache memory", .trailing),
        .init("tokens/s", .trailing),
      ])
      for result in results {
        table.append([
          result.cache, HumanReadable.count(result.tokens),
          HumanReadable.decimal(exp(result.negativeLogLikelihood), places: 3),
          HumanReadable.bytes(result.cacheBytesPeak),
          HumanReadable.decimal(result.tokensPerSecond, places: 0),
        ])
      }
      return table.text
    }
  }
}

import ArgumentParser
import Evaluation
import Tokenizers

/// Which cases are made to look for numbers in prompts.
struct SweepOptions: ParsableArguments {
  @Option(name: .long, help: "What is made: pass-key, needle, lines or stream-eval; pass-key without it.")
  var task: RecallTask?
  @Option(
    name: .long,
    help: """
      How a pass key stands in its text: plain, twice among sentences, or cascade, six times behind an instruction, among \
      common words in random order (the form of arXiv 2406.17808); plain without it.
      """)
  var needle: PassKeyNeedle?
  @Option(name: .long, help: "Tokens of the prompts; 1000,2000,4000 without it.")
  var lengths: NumberList<Int>?
  @Option(
    name: .long,
    help: """
      Where the number stands, from 0 to 1; 0,0.25,0.5,0.75,1 without it. With --needle cascade anywhere up to 0.1 from \
      there; 0.1,0.3,0.5,0.7,0.9 without it.
      """)
  var depths: NumberList<Double>?
  @Option(name: .long, help: "How far back the queries of stream-eval ask; 20 without it.")
  var linesBack: NumberList<Int>?
  @Option(name: .long, help: "Cases for every length and depth, or streams; 5 without it.")
  var cases: Int?
  @Option(name: .long, help: "The same seed makes the same cases; 1 without it.")
  var seed: UInt64?
  @Option(
    name: .long, parsing: .upToNextOption,
    help: "Files of the text around keys and needles; made-up sentences or, with --needle cascade, words without it.")
  var text: [String] = []

  var kind: RecallTask { task ?? .passKey }
  var passKeyNeedle: PassKeyNeedle { needle ?? .plain }
  /// What is made, for titles.
  var title: String { kind.rawValue + (passKeyNeedle == .plain ? "" : " (\(passKeyNeedle.rawValue))") }
  /// The most tokens of an answer; as published, where its digits are looked for beyond the first number.
  var answerTokens: Int { passKeyNeedle == .cascade ? 50 : 32 }
  var streams: Int { cases ?? 5 }
  var streamSeed: UInt64 { seed ?? 1 }

  /// The cells that are measured, or those that the cases of a file are sorted into.
  var grid: RecallGrid {
    let lengths = lengths?.values ?? [1000, 2000, 4000]
    guard kind != .streamEval else {
      return RecallGrid(lengths: lengths.sorted(), places: .linesBack(linesBack?.values ?? [20]))
    }
    let standard = passKeyNeedle == .cascade ? [0.1, 0.3, 0.5, 0.7, 0.9] : [0, 0.25, 0.5, 0.75, 1]
    return RecallGrid(lengths: lengths, places: .depths(depths?.values ?? standard))
  }

  func validate() throws {
    if let lengths { try lengths.check("--lengths", in: 1...1 << 24) }
    if let depths { try depths.check("--depths", in: 0...1) }
    if let linesBack { try linesBack.check("--lines-back", in: 1...1 << 20) }
    if let cases, !(1...1_000_000).contains(cases) {
      throw ValidationError("--cases must be from 1 to 1000000, but is \(cases)")
    }
  }

  /// Says which options mean nothing beside the others.
  func check(hasFile: Bool, needsGrid: Bool) throws {
    if hasFile {
      let making = [
        ("--task", task != nil), ("--cases", cases != nil), ("--seed", seed != nil), ("--text", !text.isEmpty),
        ("--lines-back", linesBack != nil), ("--needle", needle != nil),
      ]
      if let (name, _) = making.first(where: \.1) {
        throw ValidationError("\(name) makes cases, so give it or a file of cases, not both")
      }
      if !needsGrid, lengths != nil || depths != nil {
        throw ValidationError("--lengths and --depths sort the cases of a file for --plot and --per-point only")
      }
    } else if kind != .passKey, needle != nil {
      throw ValidationError("--needle is for pass keys only, not for --task \(kind.rawValue)")
    } else if kind == .streamEval, depths != nil {
      throw ValidationError("--depths means nothing to stream-eval, which has --lines-back")
    } else if kind != .streamEval, linesBack != nil {
      throw ValidationError("--lines-back is for --task stream-eval only")
    } else if !kind.usesFiller, !text.isEmpty {
      throw ValidationError("--text is for pass keys and needles only, not for --task \(kind.rawValue)")
    }
  }

  /// The text that fills prompts; nil where none is given.
  ///
  /// - Throws: `CommandError` where a file cannot be read or holds none.
  func filler() throws -> FillerText? {
    guard !text.isEmpty else { return nil }
    var filler = FillerText()
    for path in text {
      var bytes: [UInt8] = []
      try TextSource(path: path).forEachPiece {
        bytes += $0
        // More than any prompt takes, so an endless text ends here.
        return bytes.count < 1 << 28
      }
      guard filler.append(bytes) else { throw CommandError("\(path): there is no text in it") }
    }
    return filler
  }

  /// The cases of a sweep; nil for streams, which have none.
  func cases(tokenizer: Tokenizer, filler: FillerText?) throws -> RecallCases? {
    guard kind != .streamEval, case .depths(let depths) = grid.places else { return nil }
    return try RecallCases(
      RecallPrompts(kind, tokenizer: tokenizer, filler: filler, needle: passKeyNeedle), lengths: grid.lengths,
      depths: depths, casesPerPoint: streams, seed: streamSeed)
  }
}

extension RecallTask: ExpressibleByArgument {}
extension PassKeyNeedle: ExpressibleByArgument {}

/// Numbers with commas in between.
struct NumberList<Number: LosslessStringConvertible & Comparable & Sendable>: ExpressibleByArgument, Sendable {
  let values: [Number]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Number(String($0)) }
    guard values.count == parts.count else { return nil }
    self.values = values
  }

  /// - Throws: `ValidationError` where a number is out of range, stands there twice, or there are too many.
  func check(_ name: String, in range: ClosedRange<Number>) throws {
    guard values.count <= 64 else {
      throw ValidationError("\(name) takes at most 64 numbers, but there are \(values.count)")
    }
    for (index, value) in values.enumerated() {
      guard range.contains(value) else {
        throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), but one is \(value)")
      }
      guard !values[..<index].contains(value) else { throw ValidationError("\(name) says \(value) twice") }
    }
  }
}

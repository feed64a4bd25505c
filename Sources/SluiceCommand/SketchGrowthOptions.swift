import ArgumentParser
import Evaluation

/// What streams are sketched, and how large the sketch is that stays the same for all of them.
struct SketchGrowthOptions: ParsableArguments {
  @Option(
    name: .long, help: "Lengths of the streams of growth; 1000,4000,16000,64000,256000,1000000 without it.")
  var tokens: NumberList<Int>?
  @Option(name: .long, help: "Entries of queries and keys, from 2 to 8; 3 without it.")
  var dim: Int?
  @Option(name: .long, help: "The largest |logit|, from 0.1 to 4; 1 without it.")
  var bound: Double?
  @Option(name: .long, help: "Entries of a column that are recovered, and queries that are hot; 8 without it.")
  var kept: Int?
  @Option(name: .long, help: "Rows of the projection; 1024 without it.")
  var projection: Int?
  @Option(
    name: .long,
    help: "Streams for every row, each with seeds of its own for itself, hashes and projection; 8 without it.")
  var seeds: Int?
  @Option(name: .shortAndLong, help: "Threads that compute; all CPUs without it.")
  var threads: Int?

  /// The first option that was given, if any.
  var firstGiven: String? {
    let given = [
      ("--tokens", tokens != nil), ("--dim", dim != nil), ("--bound", bound != nil), ("--kept", kept != nil),
      ("--projection", projection != nil), ("--seeds", seeds != nil), ("--threads", threads != nil),
    ]
    return given.first(where: \.1)?.0
  }

  func validate() throws {
    if let tokens { try tokens.check("--tokens", in: 100...1 << 24) }
    if let dim, !(2...8).contains(dim) { throw ValidationError("--dim must be from 2 to 8, but is \(dim)") }
    if let bound, !(0.1...4).contains(bound) {
      throw ValidationError("--bound must be from 0.1 to 4, but is \(bound)")
    }
    if let kept, !(1...100).contains(kept) { throw ValidationError("--kept must be from 1 to 100, but is \(kept)") }
    if let projection, !(1...1 << 16).contains(projection) {
      throw ValidationError("--projection must be from 1 to 65536, but is \(projection)")
    }
    if let seeds, !(1...64).contains(seeds) { throw ValidationError("--seeds must be from 1 to 64, but is \(seeds)") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, but are \(threads)")
    }
  }

  /// - Throws: `CommandError` where the sketch would take more than a GiB.
  func experiment() throws(CommandError) -> SketchGrowth {
    let tokens = (tokens?.values ?? [1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000]).sorted()
    let (dim, rows) = (dim ?? 3, projection ?? 1024)
    let limit = 1 << 27
    guard let size = SketchSize(dim: dim, bound: bound ?? 1, kept: kept ?? 8, tokens: tokens.last ?? 0),
      size.storedNumbers(valueDim: dim, projection: rows) <= limit
    else {
      throw CommandError(
        "such a sketch has more than \(HumanReadable.count(limit)) numbers; take a smaller --dim, --bound or --kept")
    }
    return SketchGrowth(size: size, valueDim: dim, tokens: tokens, projection: rows, seeds: seeds ?? 8)
  }
}

import CacheTestSupport
import Foundation
import Kernels

@testable import KVCaches

/// A cache whose tokens compete by score, as the definition says it, in Float64: raw keys, positions made anew for every
/// chunk, lists instead of slots (arXiv 2406.17808 for cascades; a scored list behind them for H2O and TOVA).
struct ReferenceSelection {
  struct Level {
    var size: Int
    var period: Int
  }

  /// A token that a head holds.
  struct Held {
    var token: Int
    /// The attention it was given.
    var score: Double
  }

  /// What one head holds: the levels newest first, each oldest token first.
  struct Holdings {
    var sinks: [Int] = []
    var levels: [[Held]]
    var scored: [Held] = []
    /// What fell out of the last list, where the cache keeps that too.
    var melted: [Int] = []
  }

  let sequence: TokenSequence
  let sinkCount: Int
  let levels: [Level]
  let scoredSize: Int
  let distance: StageDistance
  let fillsEagerly: Bool
  let keepsAll: Bool
  let rule: ScoreRule?
  private let capacity: Int
  /// Cosine and sine of each rotated pair, `[distance][pair]`.
  private let angles: [[(cosine: Double, sine: Double)]]

  init(_ sequence: TokenSequence, plan: KVCache.Plan) {
    self.sequence = sequence
    sinkCount = plan.stages.reduce(0) { $0 + (($1 as? Sinks)?.count ?? 0) }
    levels = plan.stages.compactMap { $0 as? Window }.map { Level(size: $0.size, period: $0.period ?? 1) }
    let scored = plan.stages.compactMap { $0 as? Scored }.first
    scoredSize = scored?.count ?? 0
    keepsAll = plan.stages.last is ReferenceMelting
    distance = scored?.distance ?? (keepsAll ? plan.stages[plan.stages.count - 1].blueprint.distance : .inCache)
    fillsEagerly = plan.stages.compactMap { $0 as? Window }.allSatisfy(\.fillsEagerly)
    rule = plan.states.compactMap { $0 as? ScoreSpecification }.first?.rule
    capacity = sinkCount + levels.reduce(0) { $0 + $1.size } + scoredSize
    var frequencies: [Double] = []
    if case .rotary(let rotary) = sequence.positions { frequencies = rotary.frequencies }
    angles = (0...sequence.count).map { distance in
      frequencies.map { (cos(Double(distance) * $0), sin(Double(distance) * $0)) }
    }
  }

  /// Nothing in every head of a layer, `[KV head]`.
  var empty: [Holdings] {
    [Holdings](repeating: Holdings(levels: levels.map { _ in [] }), count: sequence.shape.keyValueHeads)
  }

  /// Whether a token that comes alone sees a window that slides.
  private var evictsInOrder: Bool { scoredSize == 0 && !keepsAll && levels.allSatisfy { $0.period == 1 } }

  /// Outputs of all tokens, `[layer][token, query head, headDim]`, and what the heads hold in the end, `[layer][KV head]`.
  func run(_ chunking: Chunking) -> (outputs: [[Float]], held: [[Holdings]]) {
    let shape = sequence.shape
    var outputs = [[Float]](repeating: [], count: shape.layers)
    var held = (0..<shape.layers).map { _ in empty }
    for layer in 0..<shape.layers {
      var first = 0
      for size in chunking.sizes(sequence.count) {
        outputs[layer] += step(layer: layer, chunk: first..<first + size, &held[layer]).outputs
        first += size
      }
    }
    return (outputs, held)
  }

  /// Takes in a chunk.
  ///
  /// - Returns: its outputs, `[token, query head, headDim]`, and what every token that could stay was worth to each KV head.
  func step(
    layer: Int, chunk: Range<Int>, _ held: inout [Holdings]
  ) -> (outputs: [Float], worth: [[Int: Double]]) {
    let shape = sequence.shape
    let width = shape.headDim
    var outputs = [Float](repeating: 0, count: chunk.count * shape.queryHeads * width)
    var credits: [[Int: Double]] = []
    for head in 0..<shape.queryHeads {
      let holdings = held[head / shape.groupSize]
      var credit: [Int: Double] = [:]
      for (row, token) in chunk.enumerated() {
        let seen = seen(holdings, chunk: chunk, row: row)
        let (output, weights) = attend(layer: layer, head: head, token: token, seen)
        outputs.replaceSubrange(
          (row * shape.queryHeads + head) * width..<(row * shape.queryHeads + head + 1) * width, with: output)
        let factor = pow(rule?.decay ?? 0, Double(chunk.count - 1 - row))
        for (other, weight) in zip(seen, weights) { credit[other.token, default: 0] += factor * weight }
      }
      credits.append(credit)
    }
    let worth = (0..<shape.keyValueHeads).map { head in
      let heads =
        rule?.isHomogeneous == true
        ? Array(credits) : Array(credits[head * shape.groupSize..<(head + 1) * shape.groupSize])
      return update(&held[head], chunk: chunk, credits: heads)
    }
    return (outputs, worth)
  }

  /// The tokens that a row of the chunk sees, each with its distance from the query.
  private func seen(_ holdings: Holdings, chunk: Range<Int>, row: Int) -> [(token: Int, distance: Int)] {
    var ring = holdings.levels.reversed().flatMap { $0.map(\.token) }
    let count = holdings.sinks.count + ring.count + holdings.scored.count
    if chunk.count == 1, evictsInOrder, count == capacity { ring.removeFirst() }
    let inChunk = Array(chunk.lowerBound...chunk.lowerBound + row)
    let query = holdings.sinks.count + holdings.scored.count + ring.count + row
    if distance == .original {
      return (holdings.sinks + holdings.scored.map(\.token) + holdings.melted + ring + inChunk)
        .map { ($0, chunk.lowerBound + row - $0) }
    }
    let sinks = holdings.sinks.enumerated().map { ($1, query - $0) }
    let scored = (holdings.scored.map(\.token) + holdings.melted).map { ($0, ring.count + row + 1) }
    let recent = (ring + inChunk).enumerated().map { ($1, ring.count + row - $0) }
    return sinks + scored + recent
  }

  /// The output of one query head of one token, and the weight of each token it sees.
  private func attend(
    layer: Int, head: Int, token: Int, _ seen: [(token: Int, distance: Int)]
  ) -> (output: [Float], weights: [Double]) {
    let shape = sequence.shape
    let keyHead = head / shape.groupSize
    let query = Array(sequence.query(layer: layer, token: token, head: head))
    let logits = seen.map { other in
      let key = sequence.key(layer: layer, token: other.token, head: keyHead)
      return product(query, key, distance: other.distance) / Double(shape.headDim).squareRoot()
        - slope(head) * Double(other.distance)
    }
    let largest = logits.max() ?? 0
    let exponentials = logits.map { exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    var output = [Double](repeating: 0, count: shape.headDim)
    for (weight, other) in zip(exponentials, seen) {
      for (dim, value) in sequence.value(layer: layer, token: other.token, head: keyHead).enumerated() {
        output[dim] += weight / sum * Double(value)
      }
    }
    return (output.map { Float($0) }, exponentials.map { $0 / sum })
  }

  /// The product of a query with the key of a token so far away: a rotary logit depends on the distance alone.
  private func product(_ query: [Float], _ key: ArraySlice<Float>, distance: Int) -> Double {
    let (angles, start) = (angles[distance], key.startIndex)
    var inHalves = true
    if case .rotary(let rotary) = sequence.positions { inHalves = rotary.layout == .halves }
    var product = 0.0
    for (pair, angle) in angles.enumerated() {
      let (first, second) = inHalves ? (pair, pair + angles.count) : (2 * pair, 2 * pair + 1)
      let (x, y) = (Double(query[first]), Double(query[second]))
      product += (x * angle.cosine - y * angle.sine) * Double(key[start + first])
      product += (x * angle.sine + y * angle.cosine) * Double(key[start + second])
    }
    for dim in 2 * angles.count..<query.count { product += Double(query[dim]) * Double(key[start + dim]) }
    return product
  }

  /// Adds what the chunk's queries gave, and lets its tokens fall through the lists.
  ///
  /// - Returns: what each token that was held, or came, is worth.
  private func update(
    _ holdings: inout Holdings, chunk: Range<Int>, credits: [[Int: Double]]
  ) -> [Int: Double] {
    let decay = pow(rule?.decay ?? 0, Double(chunk.count))
    func credit(_ token: Int) -> Double {
      let values = credits.map { $0[token] ?? 0 }.sorted()
      switch rule?.reduction {
      case .maximum: return values.last ?? 0
      case .mean: return values.reduce(0, +) / Double(values.count)
      case .median: return values[(values.count - 1) / 2]
      case nil: return 0
      }
    }
    for level in levels.indices {
      for index in holdings.levels[level].indices {
        let held = holdings.levels[level][index]
        holdings.levels[level][index].score = held.score * decay + credit(held.token)
      }
    }
    for index in holdings.scored.indices {
      let held = holdings.scored[index]
      holdings.scored[index].score = held.score * decay + credit(held.token)
    }
    let arriving = chunk.map { Held(token: $0, score: credit($0)) }
    var worth: [Int: Double] = [:]
    for held in holdings.levels.flatMap({ $0 }) + holdings.scored + arriving { worth[held.token] = held.score }
    for held in arriving { insert(held, &holdings) }
    return worth
  }

  private func insert(_ arriving: Held, _ holdings: inout Holdings) {
    guard holdings.sinks.count == sinkCount else { return holdings.sinks.append(arriving.token) }
    let index = arriving.token - sinkCount
    let isFilling = fillsEagerly && arriving.token <= capacity
    var carry = arriving
    for (level, rule) in levels.enumerated() {
      let isDue = isFilling || index % rule.period == 0
      if isDue {
        holdings.levels[level].append(carry)
        guard holdings.levels[level].count > rule.size else { return }
        carry = holdings.levels[level].removeFirst()
        continue
      }
      guard let newest = holdings.levels[level].last else { return holdings.levels[level].append(carry) }
      if self.rule == nil || carry.score >= newest.score {
        holdings.levels[level][holdings.levels[level].count - 1] = carry
      }
      return
    }
    guard scoredSize > 0 else {
      if keepsAll { holdings.melted.append(carry.token) }
      return
    }
    guard holdings.scored.count == scoredSize else { return holdings.scored.append(carry) }
    guard let lowest = holdings.scored.indices.min(by: { holdings.scored[$0].score < holdings.scored[$1].score }) else {
      return
    }
    if carry.score >= holdings.scored[lowest].score { swap(&holdings.scored[lowest], &carry) }
    if keepsAll { holdings.melted.append(carry.token) }
  }

  private func slope(_ head: Int) -> Double {
    if case .linearBias(let slopes) = sequence.positions { Double(slopes[head]) } else { 0 }
  }
}

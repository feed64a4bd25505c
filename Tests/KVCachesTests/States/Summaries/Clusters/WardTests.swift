import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Clusters by Ward's cost, one head by hand.
@Suite("Ward clusters")
struct WardTests {
  typealias Head = SummaryHead<WardSummary>

  static func head(
    _ capacity: Int, headDim: Int = 32, slotType: KVCache.SlotType = .float32, halfLife: Int? = nil
  ) -> Head {
    Head(
      WardSummary(
        capacity: capacity, halfLife: halfLife, isClipped: true, StateSite(headDim: headDim, slotType: slotType)))
  }

  struct Cluster {
    var key: [Float]
    var value: [Float]
    var count: Double
  }

  /// Clusters as they are stored.
  static func clusters(_ head: Head) -> [Cluster] {
    let clusters = head.summary.clusters(0)
    return (0..<clusters.used).map { slot in
      var key = [Float](repeating: 0, count: clusters.slots.headDim)
      var value = key
      head.kernels.readKey(slot, of: clusters.slots, to: &key)
      head.kernels.readValue(slot, of: clusters.slots, to: &value)
      return Cluster(key: key, value: value, count: clusters.counts[slot])
    }
  }

  @Test("as many slots as distinct keys give exact attention", arguments: [40, 60, 61, 200])
  func exactWithoutMerging(capacity: Int) {
    var random = SplitMix64(seed: 1)
    let keys = (0..<40).map { _ in random.normals(32) }
    // Distinct keys first: while there is room a token takes a slot of its own, even beside its double.
    let tokens = (0..<60).map { Token(key: keys[$0 % 40], value: random.normals(32)) }
    let head = Self.head(capacity)
    tokens.forEach(head.melt)
    for _ in 0..<10 {
      let query = random.normals(32, scale: 0.5)
      let exact = ExactSums(tokens, query: query)
      let answer = head.attend(query)
      #expect(abs(answer.denominator / exact.denominator - 1) < 1e-5)
      #expect(relativeError(answer.output, exact.output.map(Float.init)) < 1e-5)
      #expect(relativeError(head.attend([query], shares: 3)[0].output, exact.output.map(Float.init)) < 1e-5)
    }
  }

  @Test("counts sum to the tokens and centroids average to the mean", arguments: KVCache.SlotType.allCases)
  func sumsArePreserved(slotType: KVCache.SlotType) {
    // What slots narrower than float32 lose of the mean by rounding once, relative to a key's length.
    let tolerance: [KVCache.SlotType: Double] = [
      .float32: 1e-6, .float16: 4e-4, .bfloat16: 3e-3, .q8_0: 4e-3, .q8_0_q4_1: 2e-2,
    ]
    var random = SplitMix64(seed: 2)
    let centers = (0..<12).map { _ in random.normals(32, scale: 2) }
    let head = Self.head(24, slotType: slotType)
    var (keys, values) = ([Double](repeating: 0, count: 32), [Double](repeating: 0, count: 32))
    let count = 4000
    for _ in 0..<count {
      var token = Token(key: centers.randomElement(using: &random)!, value: random.normals(32))
      for index in 0..<32 {
        token.key[index] += random.normal() * 0.3
        token.value[index] += 1
        keys[index] += Double(token.key[index]) / Double(count)
        values[index] += Double(token.value[index]) / Double(count)
      }
      head.melt(token)
    }
    let clusters = Self.clusters(head)
    #expect(clusters.count == 24)
    #expect(clusters.reduce(0) { $0 + $1.count } == Double(count))
    for (mean, rows) in [(keys, clusters.map(\.key)), (values, clusters.map(\.value))] {
      var error = mean.map { -$0 }
      for (row, cluster) in zip(rows, clusters) {
        for index in 0..<32 { error[index] += cluster.count * Double(row[index]) / Double(count) }
      }
      #expect(length(error) < tolerance[slotType]! * 32.0.squareRoot(), "\(slotType) \(length(error))")
    }
  }

  @Test("what tokens count halves with time", arguments: [1, 5, 300])
  func halfLife(tokens: Int) {
    var random = SplitMix64(seed: 8)
    let stream = (0..<400).map { _ in Token.random(dim: 32, using: &random) }
    let query = random.normals(32, scale: 0.3)
    // The newest token has aged by one already.
    let weights = (0..<400).map { exp2(-Double(400 - $0) / Double(tokens)) }
    for capacity in [400, 1] {
      let head = Self.head(capacity, halfLife: tokens)
      stream.forEach(head.melt)
      let answer = head.attend(query)
      let total = weights.reduce(0, +)
      if capacity == 1 {
        let mean = (0..<32).map { index in
          zip(weights, stream).reduce(0) { $0 + $1.0 * Double($1.1.key[index]) } / total
        }
        let expected = total * exp(zip(mean, query).reduce(0) { $0 + $1.0 * Double($1.1) })
        #expect(abs(answer.denominator / expected - 1) < 1e-4)
      } else {
        let exact = ExactSums(stream, query: query)
        let denominator = zip(weights, exact.weights).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(answer.denominator / denominator - 1) < 1e-4)
      }
    }
  }

  @Test(
    "decisions and nearest clusters are those of brute force", arguments: [KVCache.SlotType.float32, .q8_0],
    [nil, 3, 100] as [Int?])
  func bruteForce(slotType: KVCache.SlotType, halfLife: Int?) {
    var random = SplitMix64(seed: 3)
    let settled = Self.head(20, slotType: slotType, halfLife: halfLife)
    let lazy = Self.head(20, slotType: slotType, halfLife: halfLife)
    for step in 0..<500 {
      var token = Token.random(dim: 32, using: &random)
      // Doubles and stretches of near keys, for ties and for clusters with many neighbours.
      if step > 20 && step % 7 == 3 { token.key = Self.clusters(settled)[step % 5].key }
      if step % 3 == 1 { token.key = token.key.map { 4 + $0 * 0.1 } }
      let (expected, unit) = Self.expectedCounts(settled, token)
      settled.melt(token)
      lazy.melt(token)
      // Units are taken back by a power of two.
      let isTakenBack = settled.summary.clusters(0).unit.pointee < unit
      let scale = isTakenBack ? 0x1p-20 : 1
      #expect(Self.clusters(settled).map(\.count) == expected.map { $0 * scale }, "token \(step)")
      settled.settle()
      checkNearest(settled, step)
    }
    lazy.settle()
    #expect(snapshot(lazy.summary) == snapshot(settled.summary), "putting work off changes nothing")
  }

  private func snapshot(_ summary: StageSummary) -> [UInt8] {
    var writer = SectionWriter()
    summary.write(head: 0, to: &writer)
    return writer.bytes
  }

  /// Ward's cost of all pairs, in Float64 of what is stored.
  private func checkNearest(_ head: Head, _ step: Int) {
    let (clusters, view) = (Self.clusters(head), head.summary.clusters(0))
    for a in clusters.indices {
      let costs = clusters.indices.map { b -> Double in
        let weight =
          clusters[a].count * clusters[b].count / (clusters[a].count + clusters[b].count)
        return a == b ? .infinity : weight * pow(distance(clusters[a].key, clusters[b].key), 2)
      }
      let smallest = costs.min()!
      guard smallest < .infinity else { continue }
      let tolerance = 1e-5 * smallest + 1e-9
      #expect(abs(Double(view.costs[a]) - smallest) <= tolerance, "token \(step), cluster \(a)")
      let nearest = Int(view.nearest[a])
      #expect(nearest >= 0 && abs(costs[nearest] - smallest) <= tolerance, "token \(step), cluster \(a)")
      if smallest == 0 { #expect(nearest == costs.firstIndex(of: 0)) }
    }
  }

  /// The counts that follow from section 6 of the algorithm, all pairs compared, with the kernel's own costs.
  private static func expectedCounts(_ head: Head, _ token: Token) -> (counts: [Double], unit: Double) {
    let view = head.summary.clusters(0)
    let unit = view.unit.pointee
    var counts = clusters(head).map(\.count)
    guard counts.count == view.capacity else { return (counts + [unit], unit) }
    let dim = view.slots.headDim
    let costs = { (key: [Float], weight: Float) -> [Float] in
      var out = [Float](repeating: 0, count: counts.count)
      head.kernels.distances(
        of: key, weight: weight, to: view.slots, slots: counts.count, weights: view.weights, out: &out)
      return out
    }
    let lone = WardTests.head(1, headDim: dim, slotType: view.slots.type == .q8_0 ? .q8_0 : .float32)
    lone.melt(token)
    let joining = costs(clusters(lone)[0].key, Float(unit))
    var pair = (cost: Float.infinity, first: 0, second: 0)
    for (first, cluster) in clusters(head).enumerated() {
      let row = costs(cluster.key, Float(cluster.count))
      for second in row.indices where second != first && row[second] < pair.cost { pair = (row[second], first, second) }
    }
    if joining.min()! <= pair.cost {
      counts[joining.firstIndex(of: joining.min()!)!] += unit
    } else {
      counts[pair.first] += counts[pair.second]
      counts[pair.second] = unit
    }
    return (counts, unit)
  }

  @Test("the error is within the bound of the clusters' radius")
  func errorBound() {
    var random = SplitMix64(seed: 4)
    for spread: Float in [0.02, 0.1, 0.3] {
      let centers = (0..<10).map { _ in random.normals(32, scale: 3) }
      let tokens = (0..<300).map { index in
        Token(key: zip(centers[index % 10], random.normals(32, scale: spread)).map(+), value: random.normals(32))
      }
      let head = Self.head(10)
      tokens.forEach(head.melt)
      let centroids = Self.clusters(head).map(\.key)
      let query = random.normals(32, scale: 0.2)
      // eta is the largest |⟨q, k − c⟩| over tokens and the centroids of their clusters, here the nearest.
      let eta = tokens.map { token in
        let nearest = centroids.min { distance($0, token.key) < distance($1, token.key) }!
        return abs(dot(token.key, query) - dot(nearest, query))
      }.max()!
      let exact = ExactSums(tokens, query: query)
      let error = length(zip(head.attend(query).output, exact.output).map { Double($0) - $1 })
      let longest = tokens.map { length($0.value.map(Double.init)) }.max()!
      #expect(error <= (exp(2 * eta) - 1) * longest)
      #expect(error > 0)
    }
  }

  @Test("the budget is never exceeded, broken tokens are left out")
  func budget() {
    var random = SplitMix64(seed: 5)
    for capacity in [1, 2, 3, 16, 17] {
      let head = Self.head(capacity)
      let bytes = head.summary.bytes
      for step in 0..<100 {
        var token = Token.random(dim: 32, using: &random)
        if step % 10 == 4 { token.key[7] = [.nan, .infinity, 1e30][step / 10 % 3] }
        if step % 10 == 6 { token.value[0] = .nan }
        if step % 10 == 8 { token.key = [Float](repeating: 3e18, count: 32) }
        head.melt(token)
        let clusters = head.summary.clusters(0)
        #expect(clusters.used <= capacity && head.summary.bytes == bytes)
      }
      #expect(Self.clusters(head).reduce(0) { $0 + $1.count } == 80)
      let isFinite = Self.clusters(head).allSatisfy { ($0.key + $0.value).allSatisfy { $0.isFinite } }
      #expect(isFinite)
    }
  }

  /// A stream of 30 tight clusters and isolated keys, of which a query asks for one.
  @Test(
    "isolated keys are found once there is room for them and for the clusters",
    arguments: [(256, 0.0...0.6), (512, 0.9...1)])
  func needles(capacity: Int, accuracy: ClosedRange<Double>) {
    var random = SplitMix64(seed: 6)
    let (dim, count) = (64, 4096)
    let centers = (0..<30).map { _ in random.normals(dim) }
    var isolated: [Token] = []
    let head = Self.head(capacity, headDim: dim)
    for _ in 0..<count {
      var token = Token.random(dim: dim, using: &random)
      if Double.random(in: 0..<1, using: &random) < 0.1 {
        isolated.append(token)
      } else {
        token.key = zip(centers.randomElement(using: &random)!, token.key).map { $0 + 0.1 * $1 }
      }
      head.melt(token)
    }
    #expect((360...460).contains(isolated.count))
    var found = 0
    for trial in 0..<100 {
      let needle = isolated[trial * isolated.count / 100]
      // Queries come scaled by 1 / sqrt(headDim).
      let query = zip(needle.key, random.normals(dim)).map { (1.5 * $0 + 0.5 * $1) / 8 }
      let output = head.attend(query).output
      let nearest = isolated.min { distance($0.value, output) < distance($1.value, output) }
      found += nearest == needle ? 1 : 0
    }
    #expect(accuracy.contains(Double(found) / 100), "\(found) of 100")
  }
}

import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// SubGen's Algorithm 1, one head by hand: its invariants and the edges of its state. Moments are in `SubGenMomentTests`.
@Suite("SubGen's samples")
struct SubGenTests {
  typealias Head = SummaryHead<SubGenSummary>

  static func head(
    clusters: Int, t: Int = 1, s: Int = 4, delta: Double? = nil, seed: UInt64 = 0, headDim: Int = 4, headIndex: Int = 0,
    slotType: KVCache.SlotType = .float32
  ) -> Head {
    let sizes = SubGenSizes(clusters: clusters, samplesPerCluster: t, valueSamples: s, delta: delta, seed: seed)
    let site = StateSite(keyValueHeads: headIndex + 1, headDim: headDim, slotType: slotType)
    return Head(SubGenSummary(sizes, isClipped: true, site), head: headIndex)
  }

  /// The clusters of a head: representatives, counts, samples.
  static func clusters(_ head: Head) -> [(first: [Float], count: Double, samples: [[Float]])] {
    let clusters = head.summary.normalizerClusters(0)
    let read = { (slot: Int, storage: SlotStorage) -> [Float] in
      var key = [Float](repeating: 0, count: storage.headDim)
      head.kernels.readKey(slot, of: storage, to: &key)
      return key
    }
    return (0..<clusters.used).map { index in
      let samples = (0..<clusters.samplesPerCluster).map {
        read(index * clusters.samplesPerCluster + $0, clusters.samples)
      }
      return (read(index, clusters.representatives), clusters.counts[index], samples)
    }
  }

  /// The clusters of a stream by definition.
  static func reference(_ keys: [[Float]], delta: Double) -> [[[Float]]] {
    var clusters: [[[Float]]] = []
    for key in keys {
      let distances = clusters.map { distance($0[0], key) }
      if let nearest = distances.min(), nearest <= delta {
        clusters[distances.firstIndex(of: nearest)!].append(key)
      } else {
        clusters.append([key])
      }
    }
    return clusters
  }

  @Test("clusters are those of the definition after every token", arguments: [0, 0.7, 1.5, 3, 100])
  func invariants(delta: Double) {
    var random = SplitMix64(seed: 1)
    var keys: [[Float]] = []
    let head = Self.head(clusters: 60, t: 3, delta: delta)
    for step in 0..<60 {
      var token = Token.random(dim: 4, using: &random)
      if step % 6 == 5 { token.key = keys[step / 2] }
      keys.append(token.key)
      head.melt(token)
      let (clusters, expected) = (Self.clusters(head), Self.reference(keys, delta: delta))
      #expect(clusters.map(\.first) == expected.map { $0[0] })
      #expect(clusters.map(\.count) == expected.map { Double($0.count) })
      for (cluster, members) in zip(clusters, expected) {
        #expect(cluster.samples.allSatisfy(members.contains))
        #expect(members.allSatisfy { distance($0, members[0]) <= delta })
      }
      for a in clusters.indices {
        for b in 0..<a { #expect(distance(clusters[a].first, clusters[b].first) > delta) }
      }
    }
  }

  @Test("delta grows while clusters merge, and none is lost")
  func budget() {
    var random = SplitMix64(seed: 2)
    for limit in [1, 2, 7, 20] {
      let head = Self.head(clusters: limit, t: 2)
      var (tokens, delta): ([Token], Double) = ([], 0)
      for step in 1...300 {
        tokens.append(Token.random(dim: 4, scale: step < 150 ? 1 : 3, using: &random))
        head.melt(tokens[step - 1])
        let (view, clusters) = (head.summary.normalizerClusters(0), Self.clusters(head))
        #expect(clusters.count <= limit && clusters.reduce(0) { $0 + $1.count } == Double(step))
        #expect(view.delta.pointee >= delta && (step > limit || view.delta.pointee == 0))
        delta = view.delta.pointee
        for a in clusters.indices {
          #expect(clusters[a].samples.allSatisfy { key in tokens.contains { $0.key == key } })
          for b in 0..<a { #expect(distance(clusters[a].first, clusters[b].first) > delta) }
        }
      }
    }
  }

  @Test("keys of merged clusters lie farther than delta, but not farther than eleven")
  func reach() {
    var random = SplitMix64(seed: 6)
    let head = Self.head(clusters: 12, t: 40)
    var largest = 0.0
    for _ in 0..<3000 {
      head.melt(Token.random(dim: 4, using: &random))
      let delta = head.summary.normalizerClusters(0).delta.pointee
      guard delta > 0 else { continue }
      for cluster in Self.clusters(head).suffix(3) {
        largest = max(largest, cluster.samples.map { distance($0, cluster.first) / delta }.max() ?? 0)
      }
    }
    #expect(largest > 1 && largest <= 11, "\(largest)")
  }

  @Test("with a delta that was given the last cluster's place is shared, and delta grows to the distance")
  func givenDeltaAtTheLimit() {
    let head = Self.head(clusters: 2, delta: 0.5)
    for x: Float in [0, 1, 1.25, 3] { head.melt(Token(key: [x, 0, 0, 0], value: [1, 0, 0, 0])) }
    #expect(Self.clusters(head).map(\.count) == [1, 3])
    #expect(head.summary.normalizerClusters(0).delta.pointee == 2)
  }

  @Test("keys of m clusters take m clusters")
  func clusterable() {
    var random = SplitMix64(seed: 3)
    for m in [1, 5, 20] {
      let centers = (0..<m).map { [Float(10 * $0), 0, 0, 0] }
      let head = Self.head(clusters: 50, delta: 1)
      for step in 0..<400 {
        // Within a ball of diameter 1.
        let offset = random.normals(4)
        let factor = Float.random(in: 0...0.49, using: &random) / Float(length(offset.map(Double.init)))
        let center = centers[step < m ? step : Int.random(in: 0..<m, using: &random)]
        head.melt(Token(key: zip(center, offset).map { $0 + $1 * factor }, value: offset))
        #expect(Self.clusters(head).count == min(step + 1, m))
      }
    }
  }

  @Test("the first token, values of zero, duplicates and large logits")
  func edges() {
    let empty = Self.head(clusters: 4).attend([1, 0, 0, 0])
    #expect(empty == Head.Answer(max: -.infinity, sum: 0, out: [0, 0, 0, 0]))

    let single = Self.head(clusters: 4, t: 2, s: 5)
    single.melt(Token(key: [1, 0, 0, 0], value: [3, -4, 0, 0]))
    #expect(largestDifference(single.attend([0.5, 0, 0, 0]).output, [3, -4, 0, 0]) < 1e-5)

    let zeros = Self.head(clusters: 4)
    for _ in 0..<3 { zeros.melt(Token(key: [1, 0, 0, 0], value: [0, 0, 0, 0])) }
    #expect(zeros.attend([2, 0, 0, 0]).output == [0, 0, 0, 0])
    #expect(abs(zeros.attend([2, 0, 0, 0]).denominator - 3 * exp(2)) < 1e-4)

    let doubles = Self.head(clusters: 8, t: 2, s: 3, delta: 0)
    for step in 0..<40 { doubles.melt(Token(key: [Float(step % 4), 1, 0, 0], value: [1, 0, 0, 0])) }
    let exact = (0..<4).reduce(0) { $0 + 10 * exp(Double($1)) }
    #expect(abs(doubles.attend([1, 0, 0, 0]).denominator / exact - 1) < 1e-5, "delta 0 makes the denominator exact")

    for sign: Float in [-1, 1] {
      let large = Self.head(clusters: 8, t: 2, s: 6, delta: 0)
      for step in 0..<20 { large.melt(Token(key: [sign * Float(1 + step % 2), 0, 0, 0], value: [1, 2, 3, 4])) }
      let output = large.attend([80, 0, 0, 0]).output
      #expect(output.allSatisfy { $0.isFinite })
    }

    let broken = Self.head(clusters: 4)
    broken.melt(Token(key: [.nan, 0, 0, 0], value: [1, 0, 0, 0]))
    broken.melt(Token(key: [0, 0, 0, 0], value: [.infinity, 0, 0, 0]))
    #expect(Self.clusters(broken).isEmpty)
  }

  @Test("query heads share one state, the same seed gives the same bits, another head others")
  func determinism() {
    var random = SplitMix64(seed: 4)
    let tokens = (0..<200).map { _ in Token.random(dim: 4, using: &random) }
    let queries = (0..<3).map { _ in random.normals(4) }
    let heads = [0, 0, 1].map { Self.head(clusters: 12, t: 2, s: 10, seed: 7, headIndex: $0) }
    for head in heads { tokens.forEach(head.melt) }
    let together = heads[0].attend(queries)
    #expect(together == queries.map(heads[0].attend))
    #expect(together == heads[1].attend(queries))
    #expect(together != heads[2].attend(queries))
    for (a, b) in zip(together, heads[0].attend(queries, shares: 3)) {
      #expect(relativeError(a.output, b.output) < 1e-5)
    }
    let other = Self.head(clusters: 12, t: 2, s: 10, seed: 8)
    tokens.forEach(other.melt)
    #expect(together != other.attend(queries))
  }
}

import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What clusters know of their keys' spread, and what they do without counts; one head by hand.
@Suite("Ward clusters: spread and plain centers")
struct WardSpreadTests {
  typealias Head = SummaryHead<WardSummary>

  static func head(
    _ capacity: Int, _ centroids: Clusters.Centroids, slotType: KVCache.SlotType = .float32, headDim: Int = 32
  ) -> Head {
    Head(WardSummary(capacity: capacity, centroids, shape: .single(headDim: headDim), slotType: slotType))
  }

  static func variances(_ head: Head) -> [[Float]] {
    let clusters = head.summary.clusters(0)
    return (0..<clusters.used).map { slot in
      var row = [Float](repeating: .nan, count: clusters.slots.headDim)
      head.kernels.readKey(slot, of: clusters.variances!, to: &row)
      return row
    }
  }

  @Test("variances are those of lists of all keys", arguments: [nil, 4, 60] as [Int?])
  func lists(halfLife: Int?) {
    var random = SplitMix64(seed: 11)
    let head = Self.head(12, Clusters.Centroids(halfLife: halfLife, hasVariances: true))
    // The keys of each cluster, by slot, with the time at which they came.
    var members: [[(key: [Float], time: Int)]] = []
    var merges = 0
    for time in 0..<300 {
      var token = Token.random(dim: 32, using: &random)
      if time % 3 == 1 { token.key = token.key.map { 4 + $0 * 0.1 } }
      // Far from all others, so that these merge.
      if time % 5 == 2 { token.key = token.key.map { $0 * 20 } }
      let before = WardTests.clusters(head).map(\.key)
      head.melt(token)
      let after = WardTests.clusters(head).map(\.key)
      let arrival = (key: token.key, time: time)
      if after.count > before.count {
        members.append([arrival])
      } else if let freed = after.indices.first(where: { after[$0] == token.key }) {
        // Float32 slots hold the newcomer as it is: another cluster took up the one that was there.
        let union = after.indices.first { $0 != freed && after[$0] != before[$0] }!
        members[union] += members[freed]
        members[freed] = [arrival]
        merges += 1
      } else {
        let joined = after.indices.first { after[$0] != before[$0] }!
        members[joined].append(arrival)
      }
    }
    #expect(merges > 10 && members.contains { $0.count > 20 }, "\(merges) merges")
    for (slot, (list, stored)) in zip(members, Self.variances(head)).enumerated() {
      let weights = list.map { exp2(Double($0.time - 299) / Double(halfLife ?? 1_000_000_000)) }
      let total = weights.reduce(0, +)
      for index in 0..<32 {
        let mean = zip(list, weights).reduce(0) { $0 + Double($1.0.key[index]) * $1.1 } / total
        let variance = zip(list, weights).reduce(0) { $0 + pow(Double($1.0.key[index]) - mean, 2) * $1.1 } / total
        #expect(abs(Double(stored[index]) - variance) <= 2e-5 * (variance + 0.01), "cluster \(slot), \(index)")
      }
    }
  }

  @Test("logits gain half of what squared queries find in variances", arguments: KVCache.SlotType.allCases)
  func logits(slotType: KVCache.SlotType) {
    var random = SplitMix64(seed: 12)
    for halfLife in [nil, 40] {
      let head = Self.head(75, Clusters.Centroids(halfLife: halfLife, hasVariances: true), slotType: slotType)
      for _ in 0..<600 { head.melt(Token.random(dim: 32, using: &random)) }
      // A query of quantised keys is rounded itself, so that only one of few values meets them unchanged.
      // From four rows on some kernels round to 16 bits.
      let queries = (0..<3).map { row in
        (0..<32).map { _ in Float([-127, -64, 0, 127].randomElement(using: &random)!) / 127 * (0.3 + 0.4 * Float(row)) }
      }
      let unit = head.summary.clusters(0).unit.pointee
      let clusters = zip(WardTests.clusters(head), Self.variances(head))
      var (gained, capped) = (0.0, 0)
      for (query, answer) in zip(queries, head.attend(queries)) {
        var weights: [Double] = []
        for (cluster, variance) in clusters {
          let spread = zip(query, variance).reduce(0) { $0 + pow(Double($1.0), 2) * Double($1.1) } / 2
          if spread > 4 { capped += 1 }
          gained = max(gained, spread)
          weights.append(Double(cluster.count / unit) * exp(dot(cluster.key, query) + min(4, spread)))
        }
        let denominator = weights.reduce(0, +)
        #expect(abs(answer.denominator / denominator - 1) < 1e-4, "\(slotType) \(answer.denominator / denominator)")
        let output = (0..<32).map { index in
          zip(weights, clusters).reduce(0) { $0 + $1.0 * Double($1.1.0.value[index]) } / denominator
        }
        #expect(length(zip(answer.output, output).map { Double($0) - $1 }) < 1e-3 * length(output))
      }
      #expect(gained > 1 && capped > 0)
      for (one, shared) in zip(head.attend(queries), head.attend(queries, shares: 3)) {
        #expect(abs(one.denominator / shared.denominator - 1) < 1e-5)
      }
    }
  }

  /// The mean of e^⟨q,k⟩ over normally distributed keys is exactly what the second order says.
  @Test("spread clusters weigh what their keys weigh")
  func normalKeys() {
    var random = SplitMix64(seed: 13)
    let center = random.normals(32)
    let tokens = (0..<20_000).map { _ in
      Token(key: zip(center, random.normals(32)).map(+), value: random.normals(32))
    }
    let heads = [false, true].map { Self.head(1, Clusters.Centroids(hasVariances: $0)) }
    for token in tokens { heads.forEach { $0.melt(token) } }
    for _ in 0..<5 {
      let query = random.normals(32, scale: 0.2)
      let exact = ExactSums(tokens, query: query).denominator
      #expect(heads[0].attend(query).denominator < 0.8 * exact)
      #expect(abs(heads[1].attend(query).denominator / exact - 1) < 0.05)
    }
  }

  @Test("variances are counted: half of a slot each", arguments: KVCache.SlotType.allCases)
  func bytes(slotType: KVCache.SlotType) {
    let shape = KVCache.Shape.single(headDim: 64)
    let (plain, spread) = (Clusters.Centroids(), Clusters.Centroids(hasVariances: true))
    for capacity in [1, 16, 100] {
      let sizes = [plain, spread].map {
        WardSummary.bytes(capacity: capacity, $0, shape: shape, slotType: slotType)
      }
      let slots = SlotStorage.keyBytes(type: slotType.elementType, headDim: 64, slots: capacity)
      #expect(sizes[1] - sizes[0] == slots)
      #expect(WardSummary(capacity: capacity, spread, shape: shape, slotType: slotType).bytes == sizes[1])
      #expect(WardSummary(capacity: capacity, plain, shape: shape, slotType: slotType).bytes == sizes[0])
    }
  }

  @Test("below the limit centers are read like tokens", arguments: [(8, 9, true), (9, 9, false), (8, 0, false)])
  func plain(capacity: Int, plainBelow: Int, isPlain: Bool) {
    var random = SplitMix64(seed: 14)
    for halfLife in [nil, 30] {
      let head = Self.head(capacity, Clusters.Centroids(halfLife: halfLife, plainBelow: plainBelow))
      for _ in 0..<100 { head.melt(Token.random(dim: 32, using: &random)) }
      let query = random.normals(32, scale: 0.3)
      let unit = head.summary.clusters(0).unit.pointee
      let expected = WardTests.clusters(head).reduce(0) {
        $0 + (isPlain ? 1 : Double($1.count / unit)) * exp(dot($1.key, query))
      }
      #expect(abs(head.attend(query).denominator / expected - 1) < 1e-4)
    }
  }
}

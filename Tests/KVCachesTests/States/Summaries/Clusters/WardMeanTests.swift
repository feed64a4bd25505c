import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Means and counts of clusters over long streams.
@Suite("Means of heavy clusters")
struct WardMeanTests {
  private static let dim = 64

  private static func head(_ slotType: KVCache.SlotType, halfLife: Int?, capacity: Int = 1) -> WardTests.Head {
    WardTests.head(capacity, headDim: dim, slotType: slotType, halfLife: halfLife)
  }

  /// Feeds tokens whose mean is another one in the second half; returns how far a lone cluster is from their weighted mean,
  /// relative to that mean's length, and the same of its value.
  private func errors(
    _ slotType: KVCache.SlotType, halfLife: Int?, tokens: Int, seed: UInt64
  ) -> [Double] {
    var random = SplitMix64(seed: seed)
    let head = Self.head(slotType, halfLife: halfLife)
    let means = (0..<2).map { _ in Token(key: random.normals(Self.dim), value: random.normals(Self.dim)) }
    let growth = halfLife.map { exp2(1 / Double($0)) } ?? 1
    var (weight, unit) = (0.0, 1.0)
    var exact = [[Double]](repeating: [Double](repeating: 0, count: Self.dim), count: 2)
    for step in 0..<tokens {
      var token = means[2 * step / tokens]
      for index in 0..<Self.dim {
        token.key[index] += 0.3 * random.normal()
        token.value[index] += 0.3 * random.normal()
      }
      head.melt(token)
      weight += unit
      for (row, numbers) in [token.key, token.value].enumerated() {
        for index in 0..<Self.dim { exact[row][index] += (Double(numbers[index]) - exact[row][index]) * unit / weight }
      }
      unit *= growth
    }
    let cluster = WardTests.clusters(head)[0]
    return zip(exact, [cluster.key, cluster.value]).map { exact, row in
      length(zip(exact, row).map { $0 - Double($1) }) / length(exact)
    }
  }

  /// What a mean may be off, relative to its length: hardly more than what its slot rounds.
  private static func rounding(_ slotType: KVCache.SlotType) -> Double { slotType == .q8_0_q4_1 ? 0.1 : 0.02 }

  @Test(
    "a mean follows its tokens in every slot type", arguments: KVCache.SlotType.allCases,
    [nil, 380, 100_000] as [Int?])
  func movingMean(slotType: KVCache.SlotType, halfLife: Int?) {
    for seed in 1...3 as ClosedRange<UInt64> {
      let errors = errors(slotType, halfLife: halfLife, tokens: 6000, seed: seed)
      #expect(errors.max()! < Self.rounding(slotType), "\(slotType), half-life \(halfLife ?? 0): \(errors)")
    }
  }

  @Test("and after ten times as many", arguments: KVCache.SlotType.allCases)
  func longMean(slotType: KVCache.SlotType) {
    let errors = errors(slotType, halfLife: nil, tokens: 60_000, seed: 4)
    #expect(errors.max()! < Self.rounding(slotType), "\(slotType): \(errors)")
  }

  @Test(
    "what a token counts doubles within its half-life, however long that is",
    arguments: [1, 380, 300_000, 5_000_000, 10_000_000, 12_000_000, 1 << 28])
  func doubling(halfLife: Int) {
    let head = Self.head(.float32, halfLife: halfLife)
    let doubling = log(2) / log(head.summary.growth)
    #expect(abs(doubling / Double(halfLife) - 1) < 1e-6, "\(halfLife): \(doubling)")
    let token = Token(key: [Float](repeating: 1, count: Self.dim), value: [Float](repeating: 1, count: Self.dim))
    for _ in 0..<10 { head.melt(token) }
    // And the sum of what ten of them count, 1 + g + g² …
    let sum = (0..<10).reduce(0.0) { $0 + exp2(Double($1) / Double(halfLife)) }
    let clusters = head.summary.clusters(0)
    #expect(
      abs(clusters.counts[0] / sum - 1) < 1e-12 && abs(clusters.unit.pointee / exp2(10 / Double(halfLife)) - 1) < 1e-12)
  }

  @Test("the bytes are those that the plan says", arguments: KVCache.SlotType.allCases, [nil, 30] as [Int?])
  func bytes(slotType: KVCache.SlotType, halfLife: Int?) {
    let site = StateSite(layers: 2, keyValueHeads: 3, headDim: 64, slotType: slotType)
    let summary = WardSummary(capacity: 33, halfLife: halfLife, isClipped: true, site)
    let bytes = Clusters(33, kind: .ward(halfLife: halfLife)).bytes(site, tokens: 0)
    #expect(summary.bytes == bytes)
    let perNumber: [KVCache.SlotType: Double] = [
      .float32: 4, .float16: 2, .bfloat16: 2, .q8_0: 34.0 / 32, .q8_0_q4_1: 27.0 / 32,
    ]
    var expected = 6 * Int(48 * 128 * perNumber[slotType]!) + 6 * (48 * 24 + 12)
    if slotType != .float32 { expected += 6 * 8 }
    // A byte for each number, and a step for each row.
    if [.bfloat16, .q8_0, .q8_0_q4_1].contains(slotType) || (slotType == .float16 && halfLife == nil) {
      expected += 6 * 48 * 2 * (64 + 4)
    }
    #expect(bytes == expected)
  }

  @Test(
    "a summary goes on from what was saved of it, bit for bit", arguments: KVCache.SlotType.allCases,
    [nil, 30] as [Int?])
  func saved(slotType: KVCache.SlotType, halfLife: Int?) throws {
    var random = SplitMix64(seed: 5)
    let source = Self.head(slotType, halfLife: halfLife, capacity: 5)
    let target = Self.head(slotType, halfLife: halfLife, capacity: 5)
    for _ in 0..<90 { source.melt(Token.random(dim: Self.dim, using: &random)) }
    try snapshot(source).withUnsafeBytes {
      var reader = SectionReader($0)
      try target.summary.read(head: 0, from: &reader)
      #expect(reader.remaining == 0)
    }
    for _ in 0..<90 {
      let token = Token.random(dim: Self.dim, using: &random)
      source.melt(token)
      target.melt(token)
    }
    #expect(snapshot(source) == snapshot(target))
  }

  private func snapshot(_ head: WardTests.Head) -> [UInt8] {
    var writer = SectionWriter()
    head.summary.write(head: 0, to: &writer)
    return writer.bytes
  }
}

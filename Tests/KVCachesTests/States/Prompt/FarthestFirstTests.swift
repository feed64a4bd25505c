import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Greedy k-center on keys, against its definition.
@Suite("Greedy k-center")
struct FarthestFirstTests {
  private func cluster(_ keys: [[Float]], limit: Int) -> FarthestFirst {
    let held = HeldSlots.Keys(count: keys.count, headDim: keys[0].count)
    for (slot, key) in keys.enumerated() { InstructionSet.current.writeKey(key, to: slot, of: held.slots) }
    return FarthestFirst(held.slots, count: keys.count, limit: limit, InstructionSet.current)
  }

  private func onLine(_ places: [Float], limit: Int) -> FarthestFirst { cluster(places.map { [$0, 0] }, limit: limit) }

  @Test("golden cases: ties go to the first, choice stops where nothing is left")
  func golden() {
    let cases: [(places: [Float], limit: Int, centers: [Int], nearest: [Int32], radius: Float)] = [
      ([0, 1, 10, 11, 5, 10], 3, [0, 3, 4], [0, 0, 1, 1, 2, 1], 1),
      ([0, 4, -4], 2, [0, 1], [0, 1, 0], 4),
      ([0, 2, 4], 2, [0, 2], [0, 0, 1], 2),
      ([3, 3, 3, 3], 3, [0], [0, 0, 0, 0], 0),
      ([3, 7, 3, 7, 3], 4, [0, 1], [0, 1, 0, 1, 0], 0),
      ([5], 1, [0], [0], 0),
      ([5, 6], 0, [], [-1, -1], 0),
      ([0, 1, 2], 9, [0, 2, 1], [0, 2, 1], 0),
    ]
    for test in cases {
      let clusters = onLine(test.places, limit: test.limit)
      #expect(clusters.centers == test.centers, "\(test.places)")
      #expect(clusters.nearest == test.nearest, "\(test.places)")
      #expect(clusters.radius == test.radius, "\(test.places)")
    }
  }

  @Test("keys that are not numbers are neither chosen nor near to anything")
  func broken() {
    for number in [Float.nan, .infinity, -.infinity] {
      let clusters = onLine([number, 2, 9, number, 3], limit: 4)
      #expect(clusters.centers == [1, 2, 4] && clusters.nearest == [-1, 0, 1, -1, 2] && clusters.radius == 0)
      let nothing = onLine([number, number], limit: 2)
      #expect(nothing.centers == [0] && nothing.nearest == [-1, -1])
    }
    // Finite keys whose distance is not.
    let far = onLine([3e38, -3e38, 3e38], limit: 2)
    #expect(far.centers == [0, 1] && far.nearest == [0, 1, 0])
  }

  @Test("the radius is at most twice the smallest that is possible")
  func approximation() {
    var random = SplitMix64(seed: 2)
    var worst = 0.0
    for _ in 0..<300 {
      let count = Int.random(in: 3...10, using: &random)
      let keys = (0..<count).map { _ in (0..<2).map { _ in Float(Int.random(in: 0...9, using: &random)) } }
      let distances = keys.map { a in keys.map { b in distance(a, b) } }
      for limit in 1...3 {
        let subsets = (1..<1 << count).filter { $0.nonzeroBitCount == limit }
        let radius = { (centers: [Int]) in distances.map { row in centers.map { row[$0] }.min() ?? 0 }.max() ?? 0 }
        let best = subsets.map { mask in radius((0..<count).filter { mask >> $0 & 1 == 1 }) }.min() ?? 0
        let clusters = cluster(keys, limit: limit)
        let reached = radius(clusters.centers)
        #expect(abs(reached - Double(clusters.radius)) <= 1e-5)
        #expect(reached <= 2 * best + 1e-9, "\(keys), \(limit) centers")
        if best > 0 { worst = max(worst, reached / best) }
      }
    }
    #expect(worst > 1.2, "greedy is not optimal, so the cases are hard enough")
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Double {
    zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }.squareRoot()
  }

  @Test("many random keys: the order of choice and what is nearest equal the definition")
  func definition() {
    var random = SplitMix64(seed: 7)
    let keys = (0..<333).map { _ in random.normals(16) }
    let clusters = cluster(keys, limit: 100)
    var smallest = keys.map { distance($0, keys[0]) }
    var (centers, nearest) = ([0], [Int32](repeating: 0, count: keys.count))
    while centers.count < 100, let largest = smallest.max(), let next = smallest.firstIndex(of: largest) {
      for (key, other) in keys.enumerated() where distance(other, keys[next]) < smallest[key] {
        smallest[key] = distance(other, keys[next])
        nearest[key] = Int32(centers.count)
      }
      centers.append(next)
    }
    #expect(clusters.centers == centers && clusters.nearest == nearest)
    #expect(abs(Double(clusters.radius) - (smallest.max() ?? 0)) < 1e-5)
  }

  @Test("random choice: sizes, order, and every place about equally often")
  func random() {
    var hits = [Int](repeating: 0, count: 12)
    for seed in 0..<4000 {
      let chosen = RandomChoice.choose(5, of: 12, seed: UInt64(seed) &* 0xD134_2543_DE82_EF95)
      #expect(chosen.count == 5 && zip(chosen, chosen.dropFirst()).allSatisfy { $0 < $1 } && chosen[4] < 12)
      for place in chosen { hits[place] += 1 }
    }
    // 4000 × 5 / 12 with a standard deviation of 31.
    #expect(hits.allSatisfy { abs($0 - 1667) < 125 }, "\(hits)")
    #expect(RandomChoice.choose(0, of: 3, seed: 1) == [] && RandomChoice.choose(3, of: 3, seed: 1) == [0, 1, 2])
    #expect(RandomChoice.choose(9, of: 3, seed: 1) == [0, 1, 2])
  }
}

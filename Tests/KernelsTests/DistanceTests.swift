import Foundation
import Kernels
import TestSupport
import Testing

/// Distances between keys against Float64, on every instruction set.
@Suite struct DistanceTests {
  @Test(arguments: SlotStorage.types, InstructionSet.available)
  func distancesAndProductsAreThoseOfTheStoredKeys(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 41)
    for headDim in [2, 32, 48, 64, 80, 128] where SlotStorage.supports(type: type, headDim: headDim) {
      let stage = Stage(type: type, headDim: headDim, slots: 139)
      stage.fill(0..<139, with: instructions, using: &random)
      let weights = (0..<139).map { _ in Float(Int.random(in: 1...900, using: &random)) }
      let key = random.normals(headDim)
      for slots in [0, 1, 15, 16, 17, 63, 64, 65, 139] {
        var plain = [Float](repeating: -7, count: slots + 1)
        var weighted = plain
        var products = plain
        instructions.distances(of: key, to: stage.storage, slots: slots, out: &plain)
        instructions.distances(
          of: key, weight: 3, to: stage.storage, slots: slots, weights: weights, out: &weighted)
        instructions.products(of: key, with: stage.storage, slots: slots, out: &products)
        #expect(plain[slots] == -7 && weighted[slots] == -7 && products[slots] == -7, "nothing is written beyond")
        for slot in 0..<slots {
          let stored = stage.key(slot, with: instructions)
          let distance = zip(key, stored).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
          let factor = 3 * Double(weights[slot]) / (3 + Double(weights[slot]))
          #expect(abs(Double(plain[slot]) - distance) <= 4e-6 * distance, "\(headDim) \(slot)")
          #expect(abs(Double(weighted[slot]) - distance * factor) <= 4e-6 * distance * factor, "\(headDim) \(slot)")
          let product = zip(key, stored).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
          #expect(abs(Double(products[slot]) - product) <= 1e-5 * (1 + distance), "\(headDim) \(slot)")
        }
      }
    }
  }

  @Test(arguments: SlotStorage.types, InstructionSet.available)
  func productsOfSeveralRowsAreThoseOfEach(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 45)
    let (dim, rows) = (64, 11)
    let stage = Stage(type: type, headDim: dim, slots: 50)
    stage.fill(0..<50, with: instructions, using: &random)
    let keys = random.normals(rows * dim)
    for slots in [1, 16, 37, 50] {
      var out = [Float](repeating: -7, count: rows * 53)
      instructions.products(of: keys, count: rows, with: stage.storage, slots: slots, out: &out, outStride: 53)
      for row in 0..<rows {
        var alone = [Float](repeating: -7, count: 53)
        instructions.products(
          of: Array(keys[row * dim..<(row + 1) * dim]), with: stage.storage, slots: slots, out: &alone)
        #expect(Array(out[row * 53..<(row + 1) * 53]) == alone, "\(slots) \(row)")
      }
    }
  }

  @Test(arguments: SlotStorage.types, InstructionSet.available)
  func distancesAreTheSameBitsFromEitherSide(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 42)
    let stage = Stage(type: type, headDim: 64, slots: 70)
    stage.fill(0..<70, scale: 9, with: instructions, using: &random)
    let weights = (0..<70).map { _ in Float(Int.random(in: 1...90, using: &random)) }
    let rows = (0..<70).map { slot in
      var row = [Float](repeating: 0, count: 70)
      instructions.distances(
        of: stage.key(slot, with: instructions), weight: weights[slot], to: stage.storage, slots: 70, weights: weights,
        out: &row)
      return row
    }
    for a in 0..<70 {
      #expect(rows[a][a] == 0)
      for b in 0..<a { #expect(rows[a][b] == rows[b][a]) }
    }
  }

  @Test(arguments: InstructionSet.available)
  func theFirstOfTheSmallestWins(instructions: InstructionSet) {
    var random = SplitMix64(seed: 43)
    for count in 0..<70 {
      for _ in 0..<20 {
        var x = (0..<count).map { _ in Float(Int.random(in: 0...5, using: &random)) }
        for index in x.indices where Bool.random(using: &random) {
          x[index] = [.infinity, .nan, 5].randomElement(using: &random)!
        }
        let smallest = x.filter { $0 < .infinity }.min()
        let expected = smallest.flatMap { x.firstIndex(of: $0) } ?? 0
        #expect(instructions.firstSmallest(x, count: count) == expected, "\(x)")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func pointsLearnWhatIsNearestNow(instructions: InstructionSet) {
    var random = SplitMix64(seed: 44)
    for count in 1..<50 {
      let index = Int.random(in: 0..<count, using: &random)
      let distances = (0..<count).map { _ in [0, 1, 2, 3, Float.infinity].randomElement(using: &random)! }
      let known = (0..<count).map { _ in [0, 1, 2, 3, Float.infinity].randomElement(using: &random)! }
      let before = (0..<count).map { _ in
        Bool.random(using: &random) ? Int32(index) : Int32.random(in: -Int32(count)..<Int32(count), using: &random)
      }
      var (smallest, nearest) = (known, before)
      instructions.updateNearest(
        to: index, distances: distances, count: count, smallest: &smallest, nearest: &nearest)
      for point in 0..<count {
        var expected = (known[point], before[point])
        if distances[point] < known[point] {
          expected = (distances[point], Int32(index))
        } else if before[point] == index {
          if distances[point] > known[point] { expected.1 = ~Int32(index) }
        } else if distances[point] == known[point], before[point] > index {
          expected.1 = Int32(index)
        }
        #expect((smallest[point], nearest[point]) == expected, "\(count) \(point)")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func brokenKeysAreInfinitelyFar(instructions: InstructionSet) {
    let stage = Stage(type: .float32, headDim: 64, slots: 3)
    instructions.writeKey([Float](repeating: 1, count: 64), to: 0, of: stage.storage)
    instructions.writeKey([Float](repeating: .nan, count: 64), to: 1, of: stage.storage)
    instructions.writeKey([Float](repeating: .infinity, count: 64), to: 2, of: stage.storage)
    var out = [Float](repeating: 0, count: 3)
    instructions.distances(of: [Float](repeating: 2, count: 64), to: stage.storage, slots: 3, out: &out)
    #expect(out == [64, .infinity, .infinity])
  }
}

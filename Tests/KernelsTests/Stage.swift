import Kernels
import TestSupport

/// Slots of one KV head with their memory. Unwritten memory is 0xff: not a number in every type.
struct Stage {
  let storage: SlotStorage
  private let keys: Buffer<UInt8>
  private let values: Buffer<UInt8>

  init(type: ElementType, headDim: Int, slots: Int) {
    keys = Buffer(count: SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots))
    values = Buffer(count: SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots))
    keys.elements.update(repeating: 0xff)
    values.elements.update(repeating: 0xff)
    storage = SlotStorage(type: type, headDim: headDim, slots: slots, keys: keys.pointer, values: values.pointer)
  }

  /// Writes random keys and values into slots.
  func fill(
    _ range: Range<Int>, scale: Float = 1, with instructions: InstructionSet = .current,
    using random: inout SplitMix64
  ) {
    for slot in range {
      instructions.writeKey(random.normals(storage.headDim, scale: scale), to: slot, of: storage)
      instructions.writeValue(random.normals(storage.headDim), to: slot, of: storage)
    }
  }

  func key(_ slot: Int, with instructions: InstructionSet = .current) -> [Float] {
    var out = [Float](repeating: .nan, count: storage.headDim)
    instructions.readKey(slot, of: storage, to: &out)
    return out
  }

  func value(_ slot: Int, with instructions: InstructionSet = .current) -> [Float] {
    var out = [Float](repeating: .nan, count: storage.headDim)
    instructions.readValue(slot, of: storage, to: &out)
    return out
  }

  var keyBytes: [UInt8] { Array(keys.elements) }
  var valueBytes: [UInt8] { Array(values.elements) }
}

/// A running partial attention in arrays.
struct Partial: Equatable {
  var max: [Float]
  var sum: [Float]
  var out: [Float]
  let headDim: Int

  var rows: Int { max.count }

  init(rows: Int, headDim: Int) {
    max = [Float](repeating: -.infinity, count: rows)
    sum = [Float](repeating: 0, count: rows)
    out = [Float](repeating: 0, count: rows * headDim)
    self.headDim = headDim
  }

  mutating func withRows(_ body: (PartialRows) -> Void) {
    max.withUnsafeMutableBufferPointer { max in
      sum.withUnsafeMutableBufferPointer { sum in
        out.withUnsafeMutableBufferPointer { out in
          body(
            PartialRows(max: max.baseAddress!, sum: sum.baseAddress!, out: out.baseAddress!, stride: headDim))
        }
      }
    }
  }

  mutating func attend(
    _ stage: Stage, _ run: Range<Int>, queries: [Float], rowsPerToken: Int, logWeights: [Float]? = nil,
    logWeightStride: Int = 0, visible: [Range<Int>]? = nil, keeping: Buffer<Float>? = nil, asHalves: Bool = false,
    with instructions: InstructionSet
  ) {
    let count = rows
    let scratch = Buffer<Float>(count: InstructionSet.attentionScratch(rows: count, headDim: headDim))
    let first = visible.map { Buffer($0.map { Int32($0.lowerBound) }) }
    let last = visible.map { Buffer($0.map { Int32($0.upperBound) }) }
    let weights = logWeights.map { Buffer($0) }
    let dim = headDim
    withRows { partial in
      queries.withUnsafeBufferPointer { queries in
        instructions.attend(
          stage.storage, run: run,
          queries: QueryRows(queries.baseAddress!, stride: dim, count: count, rowsPerToken: rowsPerToken),
          partial: partial, logWeights: weights.map { UnsafePointer($0.pointer) }, logWeightStride: logWeightStride,
          visibleFirst: first.map { UnsafePointer($0.pointer) }, visibleLast: last.map { UnsafePointer($0.pointer) },
          scratch: scratch.pointer, keeping: keeping?.pointer, asHalves: asHalves)
      }
    }
  }

  mutating func merge(_ other: Partial, with instructions: InstructionSet) {
    let (count, dim) = (rows, headDim)
    withRows {
      instructions.merge(
        rows: count, headDim: dim, maxA: $0.max, sumA: $0.sum, outA: $0.out, maxB: other.max, sumB: other.sum,
        outB: other.out)
    }
  }

  func finished(with instructions: InstructionSet) -> [Float] {
    var result = out
    instructions.finish(rows: rows, headDim: headDim, sum: sum, out: &result)
    return result
  }

  /// The same bits, signs of zeros included.
  func isIdentical(to other: Partial) -> Bool {
    zip(max + sum + out, other.max + other.sum + other.out).allSatisfy { $0.bitPattern == $1.bitPattern }
  }
}

extension Buffer {
  fileprivate convenience init(_ elements: [Element]) {
    self.init(count: elements.count)
    for (index, element) in elements.enumerated() { self[index] = element }
  }
}

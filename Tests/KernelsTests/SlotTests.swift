import CKernels
import Kernels
import TestSupport
import Testing

@Suite struct SlotTests {
  /// What a value may lose: half a unit of the format, relative to the block's range for quantised types.
  private func allowed(_ type: ElementType, _ x: [Float], _ index: Int) -> Float {
    let block = type.isQuantized ? Array(x[index / 32 * 32..<index / 32 * 32 + 32]) : [x[index]]
    let largest = block.map(abs).max()!
    switch type {
    case .float32: return 0
    case .float16: return largest * 0x1p-11 + 0x1p-25
    case .bfloat16: return largest * 0x1p-8
    case .q8_0: return largest * (0.5 / 127 + 0x1p-10) + 0x1p-20
    case .q4_1:
      let range = block.max()! - block.min()!
      return range * (0.5 / 15 + 0x1p-9) + largest * 0x1p-9 + 0x1p-20
    default: return 0
    }
  }

  @Test(arguments: SlotStorage.types, InstructionSet.available)
  func keysAndValuesReadBackWithinTheFormatsPrecision(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 31)
    for headDim in [8, 16, 48, 64, 80, 96, 128, 256] where SlotStorage.supports(type: type, headDim: headDim) {
      let stage = Stage(type: type, headDim: headDim, slots: 37)
      var written: [Int: ([Float], [Float])] = [:]
      // Not in order, and some twice.
      for slot in [0, 36, 15, 16, 1, 20, 15, 0] {
        let pair = (random.normals(headDim), random.normals(headDim, scale: 3))
        instructions.writeKey(pair.0, to: slot, of: stage.storage)
        instructions.writeValue(pair.1, to: slot, of: stage.storage)
        written[slot] = pair
      }
      for (slot, (key, value)) in written {
        let parts = [
          (stage.storage.keyType, key, stage.key(slot, with: instructions)),
          (type, value, stage.value(slot, with: instructions)),
        ]
        for (type, x, y) in parts {
          for index in 0..<headDim {
            #expect(abs(x[index] - y[index]) <= allowed(type, x, index), "\(headDim) \(slot)")
          }
        }
      }
    }
  }

  @Test(arguments: SlotStorage.types)
  func allInstructionSetsWriteTheSameBytes(type: ElementType) {
    let bytes = InstructionSet.available.map { instructions in
      var random = SplitMix64(seed: 32)
      let stage = Stage(type: type, headDim: 64, slots: 40)
      stage.fill(0..<40, with: instructions, using: &random)
      return [stage.keyBytes, stage.valueBytes]
    }
    for other in bytes.dropFirst() { #expect(other == bytes[0]) }
  }

  @Test(arguments: SlotStorage.types)
  func valuesAreGGUFRows(type: ElementType) {
    var random = SplitMix64(seed: 33)
    let stage = Stage(type: type, headDim: 96, slots: 5)
    stage.fill(0..<5, using: &random)
    let rows = GGUFRows(type: type, columns: 96, bytes: stage.valueBytes)
    for instructions in InstructionSet.available {
      for slot in 0..<5 {
        #expect(stage.value(slot, with: instructions) == (0..<96).map { Float(rows.value(slot, $0)) })
      }
    }
  }

  @Test(arguments: SlotStorage.types)
  func keysArePackedRows(type: ElementType) {
    var random = SplitMix64(seed: 34)
    let rows = GGUFRows(type: .float32, rows: 16, columns: 64, using: &random)
    let stage = Stage(type: type, headDim: 64, slots: 16)
    let keyType = stage.storage.keyType
    let asValues = Stage(type: keyType, headDim: 64, slots: 16)
    for slot in 0..<16 {
      let key = (0..<64).map { Float(rows.value(slot, $0)) }
      InstructionSet.current.writeKey(key, to: slot, of: stage.storage)
      InstructionSet.current.writeValue(key, to: slot, of: asValues.storage)
    }
    var packed = [UInt8](repeating: 0, count: keyType.panelBytes(columns: 64))
    sluice_pack_panel(keyType.kernelType, asValues.valueBytes, 16, 64, &packed)
    #expect(packed == stage.keyBytes)
  }

  @Test(arguments: InstructionSet.available)
  func narrowFloatsRoundToNearestEvenAndSaturate(instructions: InstructionSet) {
    var random = SplitMix64(seed: 35)
    var x: [Float] = [
      0, -0.0, 65504, 65519, 65520, -65520, 1e38, -1e38, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-14, 0x1.ffcp-15,
    ]
    x += [Float.leastNonzeroMagnitude, 1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-8, 1 + 0x3p-8, 0x1p-126]
    x += (0..<2000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }.filter(\.isFinite)
    x += (0..<2000).map { _ in random.normal() * 0x1p-15 }
    while x.count % 16 != 0 { x.append(1) }
    for type in [ElementType.float16, .bfloat16] {
      for start in stride(from: 0, to: x.count, by: 16) {
        let part = Array(x[start..<start + 16])
        let stage = Stage(type: type, headDim: 16, slots: 1)
        instructions.writeValue(part, to: 0, of: stage.storage)
        let expected = part.map { value in
          guard type == .bfloat16 else { return Float(Float16(min(max(value, -65504), 65504))) }
          let bits = value.bitPattern
          return Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
        }
        let read = stage.value(0, with: instructions)
        #expect(zip(read, expected).allSatisfy { $0.bitPattern == $1.bitPattern }, "\(type.name) \(part) \(read)")
      }
    }
  }

  @Test(arguments: [ElementType.q8_0, .q4_1], InstructionSet.available)
  func quantisedSlotsSurviveExtremes(type: ElementType, instructions: InstructionSet) {
    let stage = Stage(type: type, headDim: 32, slots: 1)
    for fill: [Float] in [[0], [-0.0], [5], [-5], [1e-30, 0], [1e30, -1e30], [65504, 0], [3e38, 1]] {
      let x = (0..<32).map { fill[$0 % fill.count] }
      instructions.writeKey(x, to: 0, of: stage.storage)
      instructions.writeValue(x, to: 0, of: stage.storage)
      let parts = [
        (stage.storage.keyType, stage.key(0, with: instructions)), (type, stage.value(0, with: instructions)),
      ]
      for (type, read) in parts {
        #expect(read.allSatisfy { $0.isFinite }, "\(fill)")
        if x.allSatisfy({ abs($0) < 1e5 }) {
          for index in 0..<32 { #expect(abs(read[index] - x[index]) <= allowed(type, x, index), "\(fill)") }
        }
      }
    }
  }
}

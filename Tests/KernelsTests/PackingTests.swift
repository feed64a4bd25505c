import CKernels
import Kernels
import TestSupport
import Testing

@Suite struct PackingTests {
  @Test(arguments: ElementType.allCases)
  func everyRowOfAPackedMatrixReadsBackExactly(type: ElementType) {
    var random = SplitMix64(seed: 1)
    let columns = type.isQuantized ? [1, 2, 11].map { $0 * type.blockSize } : [1, 2, 3, 31, 32, 33, 101]
    for columns in columns {
      for rows in [1, 2, 15, 16, 17, 37] {
        let source = GGUFRows(type: type, rows: rows, columns: columns, using: &random)
        let matrix = source.packed()
        #expect(matrix.bytes == (rows + 15) / 16 * type.panelBytes(columns: columns))
        var row = [Float](repeating: 0, count: columns)
        for index in 0..<rows {
          matrix.copyRow(index, to: &row)
          // One rounding is allowed where a scale times a quant plus a minimum does not fit in 24 bits.
          let expected = (0..<columns).map { Float(source.value(index, $0)) }
          #expect(row == expected, "\(rows) x \(columns), row \(index)")
        }
      }
    }
  }

  @Test(arguments: ElementType.allCases)
  func paddingRowsOfTheLastPanelAreZeros(type: ElementType) {
    var random = SplitMix64(seed: 2)
    let source = GGUFRows(type: type, rows: 3, columns: 256, using: &random)
    let panel = Buffer<UInt8>(count: type.panelBytes(columns: 256))
    panel.elements.update(repeating: 0xff)
    source.bytes.withUnsafeBytes { sluice_pack_panel(type.kernelType, $0.baseAddress, 3, 256, panel.pointer) }
    var row = [Float](repeating: 1, count: 256)
    for lane in 3..<16 {
      sluice_unpack_row(type.kernelType, panel.pointer, Int32(lane), 256, &row)
      #expect(row.allSatisfy { $0 == 0 }, "lane \(lane)")
    }
  }

  @Test func everyHalfAndEveryBfloatUnpacksToItsValue() {
    let bytes = (0...UInt16.max).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    var row = [Float](repeating: 0, count: 4096)
    for type in [ElementType.float16, .bfloat16] {
      let matrix = GGUFRows(type: type, columns: 4096, bytes: bytes).packed()
      for index in 0..<16 {
        matrix.copyRow(index, to: &row)
        for column in 0..<4096 {
          let pattern = UInt16(index * 4096 + column)
          let expected =
            type == .float16 ? Float(Float16(bitPattern: pattern)) : Float(bitPattern: UInt32(pattern) << 16)
          if expected.isNaN {
            #expect(row[column].isNaN)
          } else if row[column].bitPattern != expected.bitPattern {
            Issue.record("\(type.name) pattern \(pattern): \(row[column]) is not \(expected)")
          }
        }
      }
    }
  }

  @Test func packingOverATeamGivesTheSameBytes() throws {
    var random = SplitMix64(seed: 3)
    let source = GGUFRows(type: .q8_0, rows: 100, columns: 64, using: &random)
    let alone = source.packed()
    let team = try WorkerTeam(threads: 3)
    let together = source.packed(team: team)
    let count = alone.bytes
    #expect(
      UnsafeBufferPointer(start: alone.panels, count: count).elementsEqual(
        UnsafeBufferPointer(start: together.panels, count: count)))
  }

  @Test func bytesOfRowsAndPanelsMatchTheFormat() {
    let rows: [(ElementType, Int)] = [
      (.float32, 3072), (.float16, 1536), (.bfloat16, 1536), (.q4_0, 432), (.q4_1, 480), (.q5_0, 528), (.q5_1, 576),
      (.q8_0, 816), (.q2_K, 252), (.q3_K, 330), (.q4_K, 432), (.q5_K, 528), (.q6_K, 630), (.iq4_NL, 432),
      (.iq4_XS, 408), (.mxfp4, 408),
    ]
    #expect(Set(rows.map(\.0)) == Set(ElementType.allCases))
    for (type, bytes) in rows {
      #expect(type.rowBytes(columns: 768) == bytes)
      #expect(sluice_row_bytes(type.kernelType, 768) == bytes)
      #expect(type.panelBytes(columns: 768) == 16 * bytes)
    }
    #expect(ElementType.bfloat16.panelBytes(columns: 3) == 128)
  }

  @Test func buffersAreAlignedZeroedAndAsLongAsAsked() {
    for count in [0, 1, 63, 1 << 20, 3 << 20] {
      let buffer = Buffer<Float>(count: count)
      #expect(buffer.count == count && buffer.elements.count == count)
      #expect(UInt(bitPattern: buffer.pointer) % 64 == 0)
      #expect(buffer.elements.allSatisfy { $0 == 0 })
      if count > 0 {
        buffer[count - 1] = 3
        #expect(buffer[count - 1] == 3)
      }
    }
  }

  @Test func floatsArePackedAsHalvesOnlyWhereThatLosesNothing() {
    let halves = (0...UInt16.max).map { Float(Float16(bitPattern: $0)) }.filter(\.isFinite)
    let matrix = PackedMatrix.packing(halves, rows: 1, columns: halves.count)
    var row = [Float](repeating: .nan, count: halves.count)
    matrix.copyRow(0, to: &row)
    #expect(matrix.type == .float16 && zip(row, halves).allSatisfy { $0.bitPattern == $1.bitPattern })
    var random = SplitMix64(seed: 3)
    let others: [Float] =
      [0.1, 65_536, 0x1p-25, 0x1.8p-24, 0x1.001p0, 0x1.001p-15, .leastNonzeroMagnitude, .greatestFiniteMagnitude]
      + random.normals(100)
    for value in others {
      let matrix = PackedMatrix.packing([1, value], rows: 2, columns: 1)
      var read: Float = 0
      matrix.copyRow(1, to: &read)
      let isHalf = Float(Float16(value)) == value
      #expect(matrix.type == (isHalf ? .float16 : .float32) && read == value, "\(value)")
    }
  }
}

import CKernels
import Kernels
import TestSupport
import Testing

@Suite struct PackingTests {
  @Test(arguments: ElementType.allCases)
  func everyRowOfAPackedMatrixReadsBackExactly(type: ElementType) {
    var random = SplitMix64(seed: 1)
    let columns = type.isQuantized ? [32, 64, 352] : [1, 2, 3, 31, 32, 33, 101]
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
    let source = GGUFRows(type: type, rows: 3, columns: 64, using: &random)
    let panel = Buffer<UInt8>(count: type.panelBytes(columns: 64))
    panel.elements.update(repeating: 0xff)
    source.bytes.withUnsafeBytes { sluice_pack_panel(type.kernelType, $0.baseAddress, 3, 64, panel.pointer) }
    var row = [Float](repeating: 1, count: 64)
    for lane in 3..<16 {
      sluice_unpack_row(type.kernelType, panel.pointer, Int32(lane), 64, &row)
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
    let rows: [(ElementType, Int, Int)] = [
      (.float32, 40, 2560), (.float16, 20, 1280), (.bfloat16, 20, 1280), (.q8_0, 102, 1632), (.q4_1, 60, 960),
    ]
    for (type, row, panel) in rows {
      let columns = type.isQuantized ? 96 : 10
      #expect(type.rowBytes(columns: columns) == row)
      #expect(type.rowBytes(columns: columns) == sluice_row_bytes(type.kernelType, Int32(columns)))
      #expect(type.panelBytes(columns: columns) == (type.isQuantized ? panel : panel / 4))
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
}

import Kernels
import TestSupport
import Testing

/// Random rows of a GGUF tensor, and their values dequantised here, in Float64, without any code under test.
struct GGUFRows {
  let type: ElementType
  let rows: Int
  let columns: Int
  let bytes: [UInt8]

  init(type: ElementType, rows: Int, columns: Int, using random: inout SplitMix64) {
    self.type = type
    self.rows = rows
    self.columns = columns
    var bytes: [UInt8] = []
    func append(_ half: Float16) { withUnsafeBytes(of: half.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
    for _ in 0..<rows * columns / type.blockSize {
      switch type {
      case .float32: withUnsafeBytes(of: random.normal()) { bytes.append(contentsOf: $0) }
      case .float16: append(Float16(random.normal()))
      case .bfloat16:
        withUnsafeBytes(of: UInt16(random.normal().bitPattern >> 16)) { bytes.append(contentsOf: $0) }
      case .q8_0:
        append(Float16(random.normal() / 100))
        for _ in 0..<32 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
      case .q4_1:
        append(Float16(random.normal() / 10))
        append(Float16(random.normal()))
        for _ in 0..<16 { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
      }
    }
    self.bytes = bytes
  }

  init(type: ElementType, columns: Int, bytes: [UInt8]) {
    self.type = type
    self.columns = columns
    self.bytes = bytes
    rows = bytes.count / type.rowBytes(columns: columns)
  }

  /// The value of one element, as the format's definition has it.
  func value(_ row: Int, _ column: Int) -> Double {
    let start = row * (columns / type.blockSize * type.blockBytes)
    func half(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }
    switch type {
    case .float32:
      let at = start + 4 * column
      let bits = UInt32(half(at)) | UInt32(half(at + 2)) << 16
      return Double(Float(bitPattern: bits))
    case .float16: return Double(Float16(bitPattern: half(start + 2 * column)))
    case .bfloat16: return Double(Float(bitPattern: UInt32(half(start + 2 * column)) << 16))
    case .q8_0:
      let block = start + column / 32 * 34
      return Double(Float16(bitPattern: half(block))) * Double(Int8(bitPattern: bytes[block + 2 + column % 32]))
    case .q4_1:
      let block = start + column / 32 * 20
      let byte = bytes[block + 4 + column % 16]
      let quant = column % 32 < 16 ? byte & 15 : byte >> 4
      return Double(Float16(bitPattern: half(block))) * Double(quant) + Double(Float16(bitPattern: half(block + 2)))
    }
  }

  /// All values, [row, column].
  var values: [Double] { (0..<rows).flatMap { row in (0..<columns).map { value(row, $0) } } }

  func packed(team: WorkerTeam? = nil) -> PackedMatrix {
    bytes.withUnsafeBytes { PackedMatrix(type: type, rows: rows, columns: columns, source: $0, team: team) }
  }
}

extension ElementType: CustomTestStringConvertible {
  package var testDescription: String { name }
}

extension InstructionSet: CustomTestStringConvertible {
  package var testDescription: String { name }
}

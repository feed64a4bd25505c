import Kernels
import TestSupport
import Testing

/// Random rows of a GGUF tensor, and their values dequantised here, in Float64, without any code under test.
struct GGUFRows {
  let type: ElementType
  let rows: Int
  let columns: Int
  let bytes: [UInt8]
  /// All values, [row, column].
  let values: [Double]

  init(type: ElementType, rows: Int, columns: Int, using random: inout SplitMix64) {
    var bytes: [UInt8] = []
    for _ in 0..<rows * columns / type.blockSize {
      switch type {
      case .float32: withUnsafeBytes(of: random.normal()) { bytes.append(contentsOf: $0) }
      case .float16: bytes.append(contentsOf: Self.halfBytes(random.normal()))
      case .bfloat16: withUnsafeBytes(of: UInt16(random.normal().bitPattern >> 16)) { bytes.append(contentsOf: $0) }
      default:
        bytes.append(
          contentsOf: Self.block(type, scale: random.normal() / 100, minimum: random.normal() / 10) {
            UInt8(truncatingIfNeeded: random.next())
          })
      }
    }
    self.init(type: type, columns: columns, bytes: bytes)
  }

  init(type: ElementType, columns: Int, bytes: [UInt8]) {
    self.type = type
    self.columns = columns
    self.bytes = bytes
    rows = bytes.count / type.rowBytes(columns: columns)
    values = stride(from: 0, to: bytes.count, by: type.blockBytes).flatMap {
      type.values(ofBlock: bytes[$0..<$0 + type.blockBytes])
    }
  }

  /// One block of a quantised type with these halves (the second where the type has one), all else from `fill`. Of
  /// MXFP4's scale the power of two counts.
  static func block(_ type: ElementType, scale: Float, minimum: Float, fill: () -> UInt8) -> [UInt8] {
    var block = (0..<type.blockBytes).map { _ in fill() }
    for (offset, value) in zip(type.offsetsOfHalves, [scale, minimum]) {
      block.replaceSubrange(offset..<offset + 2, with: halfBytes(value))
    }
    if type == .mxfp4 { block[0] = UInt8(scale == 0 ? 0 : 127 + Int(scale.exponent)) }
    return block
  }

  private static func halfBytes(_ value: Float) -> [UInt8] {
    withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
  }

  func value(_ row: Int, _ column: Int) -> Double { values[row * columns + column] }

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

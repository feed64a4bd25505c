import Kernels
import ModelJSON
import Testing

/// Random blocks of every type, as the reference gguf package dequantises them.
@Suite struct GoldenBlocksTests {
  private struct Block {
    let type: ElementType
    let bytes: [UInt8]
    let values: [Float]
  }

  private static func blocks() throws -> [Block] {
    let golden = try #require(Golden.json(Golden.path("blocks.json")).object)
    return try ElementType.allCases.filter { $0 != .float32 }.map { type in
      let entry = try #require(golden[type.name]?.object, "no \(type.name)")
      let digits = Array(try #require(entry["bytes"]?.string).utf8)
      let bytes = stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
      }
      return Block(type: type, bytes: bytes, values: try #require(entry["values"]).floats)
    }
  }

  /// Row 17 of 18 in a matrix of zeros, so that a wrong lane or panel cannot pass.
  private func matrix(_ block: Block) -> PackedMatrix {
    let bytes = [UInt8](repeating: 0, count: 16 * block.bytes.count) + block.bytes
    let rows = bytes + [UInt8](repeating: 0, count: block.bytes.count)
    return rows.withUnsafeBytes {
      PackedMatrix(type: block.type, rows: 18, columns: block.values.count, source: $0, team: nil)
    }
  }

  @Test func blocksUnpackToTheRecordedValues() throws {
    for block in try Self.blocks() {
      #expect(block.bytes.count == block.type.rowBytes(columns: block.values.count))
      var row = [Float](repeating: .nan, count: block.values.count)
      matrix(block).copyRow(16, to: &row)
      #expect(row == block.values, "\(block.type.name)")
    }
  }

  /// Against Float64 sums of the recorded values, relative to the sums of magnitudes.
  @Test func productsAreThoseOfTheRecordedValues() throws {
    let team = try WorkerTeam(threads: 1)
    for block in try Self.blocks() where block.type.isQuantized {
      let columns = block.values.count
      let activations = Activations(capacity: 2, columns: columns)
      // Integers up to 127 with a 127 in every block are their own quants: both arithmetics multiply the same numbers.
      for index in 0..<2 * columns { activations.values[index] = Float(index * 37 % 255 - 127) }
      for index in stride(from: 0, to: 2 * columns, by: 32) { activations.values[index] = 127 }
      let matrix = matrix(block)
      for instructions in InstructionSet.available {
        activations.quantize(tokens: 2, with: instructions)
        for arithmetic in [Arithmetic.float32, .int8] {
          let out = Buffer<Float>(count: 36)
          instructions.linear(
            LinearSegment(matrix, out: out.pointer, stride: 18), activations: activations, tokens: 2,
            arithmetic: arithmetic, team: team)
          for token in 0..<2 {
            let products = (0..<columns).map { Double(block.values[$0]) * Double(activations[token][$0]) }
            let (sum, magnitude) = (products.reduce(0, +), products.reduce(0) { $0 + abs($1) })
            #expect(
              abs(Double(out[18 * token + 16]) - sum) <= 1e-6 * magnitude,
              "\(block.type.name) \(arithmetic) \(instructions.name)")
            #expect(out[18 * token + 15] == 0 && out[18 * token + 17] == 0)
          }
        }
      }
    }
  }
}

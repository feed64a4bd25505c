import Kernels
import Weights

/// Experts in MXFP4 as Hugging Face directories hold them (gpt-oss): 4-bit values and their scales in two tensors of bytes.
extension TensorSource {
  /// Whether a layer has blocks and scales of that stem.
  func hasMicroscaled(_ stem: String, layer: Int) -> Bool { storedName(stem + "_blocks", layer: layer) != nil }

  /// The matrices of all experts, packed as they are, made of every `step`-th row of `[expert, row, block, 16]`.
  ///
  /// A byte of a block holds two neighbours, the first one in its low half; GGUF's blocks, which kernels are packed from, hold
  /// values 16 apart there, after their scale.
  ///
  /// - Throws: where a tensor is missing, is not of bytes, or has another shape.
  func microscaled(
    _ stem: String, count: Int, rows: Int, columns: Int, first: Int, step: Int, layer: Int
  ) throws -> [PackedMatrix] {
    let type = ElementType.mxfp4
    guard columns % type.blockSize == 0 else {
      throw ModelError.unsupported(
        "experts in MXFP4 with rows of \(columns) values are not whole blocks", in: file.path)
    }
    let rowBlocks = columns / type.blockSize
    let blocks = try bytes(stem + "_blocks", shape: [count, step * rows, rowBlocks, 16], layer: layer)
    let scales = try bytes(stem + "_scales", shape: [count, step * rows, rowBlocks], layer: layer)
    defer {
      blocks.release()
      scales.release()
    }
    var gathered = [UInt8](repeating: 0, count: rows * type.rowBytes(columns: columns))
    return (0..<count).map { expert in
      var target = 0
      for row in 0..<rows {
        let source = (expert * step * rows + first + step * row) * rowBlocks
        for block in source..<source + rowBlocks {
          gathered[target] = scales.bytes[block]
          for pair in 0..<8 {
            let (low, high) = (blocks.bytes[block * 16 + pair], blocks.bytes[block * 16 + pair + 8])
            gathered[target + 1 + 2 * pair] = low & 15 | high << 4
            gathered[target + 2 + 2 * pair] = low >> 4 | high & 0xF0
          }
          target += type.blockBytes
        }
      }
      return gathered.withUnsafeBytes {
        PackedMatrix(type: type, rows: rows, columns: columns, source: $0, team: team)
      }
    }
  }

  private func bytes(_ name: String, shape: [Int], layer: Int) throws -> ByteTensor {
    let tensor = try file.byteTensor(storedName(name, layer: layer) ?? "\(names.layers).\(layer).\(name)")
    guard tensor.shape == shape else {
      throw ModelError.badTensor(tensor.name, expected: shape, got: tensor.shape, in: file.path)
    }
    return tensor
  }
}

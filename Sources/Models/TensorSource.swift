import Kernels
import Weights

/// Reads a model's tensors out of its file, checks their shapes, and packs matrices for the kernels.
///
/// The pages of a tensor are given back once it is packed, so that loading does not double the memory.
struct TensorSource {
  let file: WeightFile
  let team: WorkerTeam
  /// Whether the output matrix is the embedding even if the file holds one.
  let tiesOutput: Bool
  let adapters: AdapterSet

  func has(_ name: TensorName) -> Bool {
    if name == .output, tiesOutput { return false }
    return file.hasTensor(name.text("weight", in: file.format))
  }

  /// A matrix `[rows, columns]`, packed.
  func matrix(_ name: TensorName, rows: Int, columns: Int) throws -> PackedMatrix {
    let tensor = try file.tensor(name.text("weight", in: file.format))
    try check(tensor, shape: [rows, columns])
    let packed = PackedMatrix(type: tensor.info.type, rows: rows, columns: columns, source: tensor.bytes, team: team)
    tensor.release()
    return packed
  }

  /// A matrix with its bias, if the file has one, and what adapters add to it.
  func linear(_ name: TensorName, rows: Int, columns: Int) throws -> Linear {
    let bias = name.text("bias", in: file.format)
    return Linear(
      matrix: try matrix(name, rows: rows, columns: columns),
      bias: file.hasTensor(bias) ? try vector(bias, count: rows) : nil,
      factors: try factors(name, rows: rows, columns: columns))
  }

  /// What adapters add to a matrix `[rows, columns]`; nil where they leave it alone.
  func factors(_ name: TensorName, rows: Int, columns: Int) throws -> LowRankFactors? {
    try adapters.factors(name, rows: rows, columns: columns)
  }

  /// A vector as floats.
  func vector(_ name: TensorName, count: Int) throws -> Buffer<Float> {
    try vector(name.text("weight", in: file.format), count: count)
  }

  /// A vector as floats, by its name in the file.
  func vector(_ name: String, count: Int) throws -> Buffer<Float> {
    let tensor = try file.tensor(name)
    try check(tensor, shape: [count])
    let packed = PackedMatrix(type: tensor.info.type, rows: 1, columns: count, source: tensor.bytes, team: team)
    let buffer = Buffer<Float>(count: count)
    packed.copyRow(0, to: buffer.pointer)
    return buffer
  }

  private func check(_ tensor: Tensor, shape: [Int]) throws {
    guard tensor.info.shape == shape else {
      throw ModelError.badTensor(tensor.info.name, expected: shape, got: tensor.info.shape, in: file.path)
    }
  }
}

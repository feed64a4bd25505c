import Kernels
import Weights

/// The adapters of a model while it is loaded: looks up what they add to each matrix and remembers what was used.
///
/// Not thread safe.
final class AdapterSet {
  private let adapters: [LowRankAdapter]
  private let base: WeightFile
  /// Whether rows of queries and keys stand in another order in GGUF files than in others.
  private let interleaves: Bool
  private let headDim: Int
  /// Names of the modules that met their matrix, one set an adapter.
  private var used: [Set<String>]

  /// - Parameter architecture: the base model's architecture as GGUF names it.
  /// - Throws: `ModelError` where an adapter says that it is made for another architecture.
  init(
    _ adapters: [LowRankAdapter], base: WeightFile, architecture: String, interleaves: Bool, headDim: Int
  ) throws {
    for adapter in adapters where adapter.file.isGGUF {
      let name = try adapter.file.metadata.string("general.architecture")
      guard name == architecture else {
        throw ModelError.unsupported(
          "is an adapter for the architecture '\(name)', but the model's is '\(architecture)'", in: adapter.file.path)
      }
    }
    self.adapters = adapters
    self.base = base
    self.interleaves = interleaves
    self.headDim = headDim
    used = adapters.map { _ in [] }
  }

  /// A bound on the ranks that one group of matrices has in all.
  var widestGroup: Int { LowRankGroup.mostMatrices * adapters.reduce(0) { $0 + $1.mostRanks } }

  /// What all adapters together add to a matrix `[rows, columns]`; nil where they leave it alone.
  ///
  /// - Throws: `ModelError` where a shape does not fit or a factor holds no finite numbers, `WeightsError` where its type
  ///   cannot be read.
  func factors(_ name: TensorName, rows: Int, columns: Int) throws -> LowRankFactors? {
    var parts: [LowRankFactors] = []
    for (index, adapter) in adapters.enumerated() {
      let moduleName = adapter.name(of: name)
      guard let module = adapter.modules.first(where: { $0.name == moduleName }) else { continue }
      used[index].insert(moduleName)
      var up = try values(module.up, shape: [rows, module.rank], of: adapter)
      let down = try values(module.down, shape: [module.rank, columns], of: adapter)
      let scale = adapter.scale(of: module)
      for position in up.indices { up[position] = Float(Double(up[position]) * scale) }
      guard up.allSatisfy(\.isFinite) else {
        throw ModelError.unusableTensor(
          module.up.name, "overflows when it is scaled by \(scale)", in: adapter.file.path)
      }
      if interleaves, name.isRotated, base.isGGUF != adapter.file.isGGUF {
        up = reordered(up, rank: module.rank, toInterleaved: base.isGGUF)
      }
      parts.append(LowRankFactors(rank: module.rank, down: down, up: up))
    }
    return LowRankFactors(sumOf: parts, rows: rows)
  }

  /// Throws where an adapter holds something that no matrix of the model asked for: it would be left out in silence.
  func checkAllUsed() throws {
    for (adapter, used) in zip(adapters, used) {
      guard let module = adapter.modules.first(where: { !used.contains($0.name) }) else { continue }
      throw ModelError.unusableTensor(
        module.down.name,
        module.name == adapter.name(of: .embedding)
          ? "adapts the embedding, which is not supported"
          : "adapts '\(module.name)', which the model does not have as a linear layer",
        in: adapter.file.path)
    }
  }

  /// A factor as floats, whatever its type.
  private func values(_ stored: StoredTensor, shape: [Int], of adapter: LowRankAdapter) throws -> [Float] {
    guard stored.shape == shape else {
      throw ModelError.badTensor(stored.name, expected: shape, got: stored.shape, in: adapter.file.path)
    }
    let tensor = try adapter.file.tensor(stored.name)
    let packed = PackedMatrix(
      type: tensor.info.type, rows: shape[0], columns: shape[1], source: tensor.bytes, team: nil)
    tensor.release()
    var values = [Float](repeating: 0, count: shape[0] * shape[1])
    values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      for row in 0..<shape[0] { packed.copyRow(row, to: start + row * shape[1]) }
    }
    guard values.allSatisfy(\.isFinite) else {
      throw ModelError.unusableTensor(stored.name, "holds a value that is not finite", in: adapter.file.path)
    }
    return values
  }

  /// Rows `[head, headDim]` with rotary pairs side by side in place of half a head apart, or the other way round.
  private func reordered(_ rows: [Float], rank: Int, toInterleaved: Bool) -> [Float] {
    var result = rows
    for row in 0..<rows.count / rank {
      let (head, dim) = (row / headDim, row % headDim)
      let other = head * headDim + dim % 2 * (headDim / 2) + dim / 2
      let (from, to) = toInterleaved ? (other, row) : (row, other)
      for column in 0..<rank { result[to * rank + column] = rows[from * rank + column] }
    }
    return result
  }
}

extension LowRankAdapter {
  /// What the adapter's file calls the module of a tensor.
  fileprivate func name(of tensor: TensorName) -> String {
    let weight = tensor.text("weight", in: file.format)
    return file.isGGUF ? weight : String(weight.dropLast(".weight".count))
  }
}

extension WeightFile {
  fileprivate var isGGUF: Bool { if case .gguf = format { true } else { false } }
}

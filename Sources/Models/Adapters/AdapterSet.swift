import KVCaches
import Kernels
import Weights

/// The adapters of a model while it is loaded: looks up what they add to each matrix and remembers what was used.
///
/// Not thread safe.
final class AdapterSet {
  private let adapters: [LowRankAdapter]
  private let base: WeightFile
  private let names: TensorNames
  /// Whether rows of queries and keys stand in another order in GGUF files than in others.
  private let interleaves: Bool
  private let headDim: Int
  /// Names of the modules that met their matrix, one set an adapter.
  private var used: [Set<String>]

  /// - Throws: `ModelError` where an adapter says that it is made for another architecture.
  init(_ adapters: [LowRankAdapter], base: WeightFile, family: any ModelFamily.Type, headDim: Int) throws {
    for adapter in adapters where adapter.file.isGGUF {
      let name = try adapter.file.metadata.string("general.architecture")
      guard name == family.ggufName else {
        throw ModelError.unsupported(
          "is an adapter for the architecture '\(name)', but the model's is '\(family.ggufName)'",
          in: adapter.file.path)
      }
    }
    self.adapters = adapters
    self.base = base
    names = family.names
    interleaves = family.interleavesInGGUF
    self.headDim = headDim
    used = adapters.map { _ in [] }
  }

  /// What all adapters together add to a matrix; nil where they leave it alone.
  ///
  /// - Parameter places: where a file of a format may hold the matrix
  /// - Throws: `ModelError` where a shape does not fit or a factor holds no finite numbers, `WeightsError` where its type
  ///   cannot be read.
  func factors(_ places: (WeightFile.Format) -> [StoredRows], columns: Int) throws -> LowRankFactors? {
    var parts: [LowRankFactors] = []
    var rows = 0
    for (index, adapter) in adapters.enumerated() {
      for place in places(adapter.file.format) {
        guard let moduleName = name(of: place.tensor, in: adapter),
          let module = adapter.modules.first(where: { $0.name == moduleName })
        else { continue }
        used[index].insert(moduleName)
        var up = try values(module.up, shape: [place.total, module.rank], of: adapter)
        let down = try values(module.down, shape: [module.rank, columns], of: adapter)
        let scale = adapter.scale(of: module)
        for position in up.indices { up[position] = Float(Double(up[position]) * scale) }
        guard up.allSatisfy(\.isFinite) else {
          throw ModelError.unusableTensor(
            module.up.name, "overflows when it is scaled by \(scale)", in: adapter.file.path)
        }
        up = place.ranges.flatMap { up[$0.lowerBound * module.rank..<$0.upperBound * module.rank] }
        if interleaves, place.tensor.isRotated, base.isGGUF != adapter.file.isGGUF {
          up = reordered(up, rank: module.rank, toInterleaved: base.isGGUF)
        }
        rows = up.count / module.rank
        parts.append(LowRankFactors(rank: module.rank, down: down, up: up))
      }
    }
    return LowRankFactors(sumOf: parts, rows: rows)
  }

  /// What the adapter that brings gates declares of the memory they are for; nil where none does.
  ///
  /// - Throws: `ModelError` where several do, or one does not say what its gates are for.
  func segments() throws -> TrainedMemory.Segments? {
    let gated = adapters.filter { !$0.gates.isEmpty }
    guard let adapter = gated.first else { return nil }
    if gated.count > 1 {
      throw ModelError.unsupported(
        "brings gates, as '\(adapter.file.path)' does; only one adapter may", in: gated[1].file.path)
    }
    guard let segments = try TrainedMemory(adapter.file).segments else {
      throw ModelError.unsupported(
        "brings gates, but 'infini' does not say how long segments are", in: adapter.file.path)
    }
    return segments
  }

  /// One learned number for each query head of a layer, which an adapter brings in place of the model's; nil where none does.
  ///
  /// They are not scaled with the adapter: they are no sum.
  func headNumbers(_ part: String, layer: Int, count: Int) throws -> [Float]? {
    for (index, adapter) in adapters.enumerated() {
      let places = [(TensorName("attn", layer: layer), part), (TensorName("attn_\(part)", layer: layer), "weight")]
        .compactMap { names.text($0.0, $0.1, in: adapter.file.format) }
      guard let name = places.first(where: { adapter.gates[$0] != nil }), let stored = adapter.gates[name] else {
        continue
      }
      used[index].insert(name)
      guard stored.shape.reduce(1, *) == count else {
        throw ModelError.badTensor(stored.name, expected: [count], got: stored.shape, in: adapter.file.path)
      }
      return try values(stored, shape: stored.shape, of: adapter)
    }
    return nil
  }

  /// Throws where an adapter holds something that no matrix of the model asked for: it would be left out in silence.
  func checkAllUsed() throws {
    for (adapter, used) in zip(adapters, used) {
      if let gate = adapter.gates.keys.sorted().first(where: { !used.contains($0) }) {
        throw ModelError.unusableTensor(
          gate, "are gates of a layer that the model does not have", in: adapter.file.path)
      }
      guard let module = adapter.modules.first(where: { !used.contains($0.name) }) else { continue }
      throw ModelError.unusableTensor(
        module.down.name,
        module.name == name(of: .embedding, in: adapter)
          ? "adapts the embedding, which is not supported"
          : "adapts '\(module.name)', which the model does not have as a linear layer",
        in: adapter.file.path)
    }
  }

  /// What an adapter's file calls the module of a tensor; nil where it has no name for it.
  private func name(of tensor: TensorName, in adapter: LowRankAdapter) -> String? {
    guard let weight = names.text(tensor, "weight", in: adapter.file.format) else { return nil }
    return adapter.file.isGGUF ? weight : String(weight.dropLast(".weight".count))
  }

  /// A factor as floats, whatever its type.
  private func values(_ stored: StoredTensor, shape: [Int], of adapter: LowRankAdapter) throws -> [Float] {
    guard stored.shape == shape else {
      throw ModelError.badTensor(stored.name, expected: shape, got: stored.shape, in: adapter.file.path)
    }
    let tensor = try adapter.file.tensor(stored.name)
    let columns = shape.last ?? 1
    let rows = shape.reduce(1, *) / max(columns, 1)
    let packed = PackedMatrix(type: tensor.info.type, rows: rows, columns: columns, source: tensor.bytes, team: nil)
    tensor.release()
    var values = [Float](repeating: 0, count: rows * columns)
    values.withUnsafeMutableBufferPointer { values in
      guard let start = values.baseAddress else { return }
      for row in 0..<rows { packed.copyRow(row, to: start + row * columns) }
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

extension WeightFile {
  fileprivate var isGGUF: Bool { if case .gguf = format { true } else { false } }
}

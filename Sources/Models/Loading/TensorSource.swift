import KVCaches
import Kernels
import Weights

/// Reads a model's tensors out of its file, checks their shapes, and packs matrices for the kernels.
///
/// The pages of a tensor are given back once it is packed, so that loading does not double the memory.
struct TensorSource {
  let file: WeightFile
  let names: TensorNames
  let configuration: ModelConfiguration
  let team: WorkerTeam
  let adapters: AdapterSet
  /// Stored names by what they would be in a file without images and sound.
  private let textNames: [String: String]

  init(file: WeightFile, names: TensorNames, configuration: ModelConfiguration, team: WorkerTeam, adapters: AdapterSet)
  {
    self.file = file
    self.names = names
    self.configuration = configuration
    self.team = team
    self.adapters = adapters
    var textNames: [String: String] = [:]
    for name in file.tensorNames where name.contains("language_model.") {
      textNames[name.replacing("language_model.", with: "")] = name
    }
    self.textNames = textNames
  }

  /// Whether the file holds a tensor's `weight` or `bias`.
  func has(_ name: TensorName, _ part: String = "weight") -> Bool { stored(name, part).map(file.hasTensor) ?? false }

  /// A matrix `[rows, columns]`, packed.
  func matrix(_ name: TensorName, rows: Int, columns: Int) throws -> PackedMatrix {
    try matrix(StoredRows(tensor: name, ranges: [0..<rows], total: rows), columns: columns)
  }

  /// Matrices of one input with their biases, where the file has them, and what adapters add to them.
  ///
  /// - Parameter tied: takes the place of the file's matrix and bias
  func linears(
    _ group: [LayerGraph.Matrix], columns: Int, layer: Int?, inPlaceOfFile tied: PackedMatrix? = nil
  ) throws -> [Linear] {
    let heads = layer.map { configuration.layers[$0].keyValueHeads } ?? 1
    return try group.indices.map { index in
      let places = { names.places(of: index, in: group, layer: layer, format: $0, heads: heads) }
      let own = places(file.format)
      let biased = tied == nil ? own.first { has($0.tensor, "bias") } : nil
      return Linear(
        matrix: try tied ?? matrix(own.first { has($0.tensor) } ?? own[0], columns: columns),
        bias: try biased.map { try bias($0) },
        factors: try adapters.factors(places, columns: columns))
    }
  }

  /// A vector as floats.
  func vector(_ name: TensorName, count: Int) throws -> Buffer<Float> { try vector(name, "weight", count: count) }

  /// A tensor's bias as floats, if the file has one.
  func bias(_ name: TensorName, count: Int) throws -> Buffer<Float>? {
    has(name, "bias") ? try vector(name, "bias", count: count) : nil
  }

  /// One learned number for each query head of a layer, where the file has them.
  func headNumbers(_ part: String, layer: Int) throws -> [Float]? {
    let name = TensorName("attn", layer: layer)
    guard has(name, part) else { return nil }
    let numbers = try vector(name, part, count: configuration.layers[layer].queryHeads)
    return (0..<numbers.count).map { numbers[$0] }
  }

  private func matrix(_ rows: StoredRows, columns: Int) throws -> PackedMatrix {
    let tensor = try tensor(rows.tensor, "weight", shape: [rows.total, columns])
    defer { tensor.release() }
    let count = rows.ranges.reduce(0) { $0 + $1.count }
    let pack = { (source: UnsafeRawBufferPointer) in
      PackedMatrix(type: tensor.info.type, rows: count, columns: columns, source: source, team: team)
    }
    let bytes = { (range: Range<Int>) in
      let width = tensor.info.rowBytes
      return UnsafeRawBufferPointer(rebasing: tensor.bytes[range.lowerBound * width..<range.upperBound * width])
    }
    if rows.ranges.count == 1 { return pack(bytes(rows.ranges[0])) }
    var gathered: [UInt8] = []
    gathered.reserveCapacity(count * tensor.info.rowBytes)
    for range in rows.ranges { gathered += bytes(range) }
    return gathered.withUnsafeBytes(pack)
  }

  private func bias(_ rows: StoredRows) throws -> Buffer<Float> {
    let all = try vector(rows.tensor, "bias", count: rows.total)
    let buffer = Buffer<Float>(count: rows.ranges.reduce(0) { $0 + $1.count })
    for (index, row) in rows.ranges.joined().enumerated() { buffer[index] = all[row] }
    return buffer
  }

  private func vector(_ name: TensorName, _ part: String, count: Int) throws -> Buffer<Float> {
    let tensor = try tensor(name, part, shape: [count])
    let packed = PackedMatrix(type: tensor.info.type, rows: 1, columns: count, source: tensor.bytes, team: team)
    let buffer = Buffer<Float>(count: count)
    packed.copyRow(0, to: buffer.pointer)
    return buffer
  }

  private func tensor(_ name: TensorName, _ part: String, shape: [Int]) throws -> Tensor {
    guard let text = stored(name, part) else {
      throw ModelError.unsupported("the architecture has no name for '\(name.stem)'", in: file.path)
    }
    let tensor = try file.tensor(text)
    guard tensor.info.shape == shape else {
      throw ModelError.badTensor(text, expected: shape, got: tensor.info.shape, in: file.path)
    }
    return tensor
  }

  private func stored(_ name: TensorName, _ part: String) -> String? {
    guard let text = names.text(name, part, in: file.format) else { return nil }
    return file.hasTensor(text) ? text : textNames[text] ?? text
  }
}

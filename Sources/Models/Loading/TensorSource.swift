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
    _ group: [LayerGraph.Matrix], _ part: Range<Int>, columns: Int, layer: Int?, inPlaceOfFile tied: PackedMatrix? = nil
  ) throws -> [Linear] {
    let heads = layer.map { configuration.layers[$0].keyValueHeads } ?? 1
    let queryHeads = layer.map { configuration.layers[$0].queryHeads } ?? 1
    return try part.map { index in
      let places = {
        names.places(of: index, in: group, layer: layer, format: $0, heads: max(heads, 1), queryHeads: queryHeads)
      }
      let own = places(file.format)
      let biased = tied == nil ? own.first { has($0.tensor, "bias") } : nil
      return Linear(
        matrix: try tied ?? matrix(own.first { has($0.tensor) } ?? own[0], columns: columns),
        bias: try biased.map { try bias($0) },
        factors: try adapters.factors(places, columns: columns))
    }
  }

  /// Whether the file is GGUF.
  var isGGUF: Bool { if case .gguf = file.format { true } else { false } }

  /// A vector as floats.
  func vector(_ name: TensorName, _ part: String = "weight", count: Int) throws -> Buffer<Float> {
    try values(name, part, shape: [count])
  }

  /// All of a small tensor as floats; axes of length 1 may stand anywhere in the file's shape.
  func values(_ name: TensorName, _ part: String = "weight", shape: [Int]) throws -> Buffer<Float> {
    let tensor = try tensor(name, part)
    guard tensor.info.shape.filter({ $0 != 1 }) == shape.filter({ $0 != 1 }) else {
      throw ModelError.badTensor(tensor.info.name, expected: shape, got: tensor.info.shape, in: file.path)
    }
    return floats(tensor, rows: 1, columns: shape.reduce(1, *))
  }

  /// A table whose rows are read one by one.
  func table(_ name: TensorName, rows: Int, columns: Int) throws -> RowTable {
    let tensor = try tensor(name, "weight", shape: [rows, columns])
    return RowTable(type: tensor.info.type, rows: rows, columns: columns, source: tensor.bytes, owner: tensor)
  }

  func floats(_ tensor: Tensor, rows: Int, columns: Int) -> Buffer<Float> {
    let packed = PackedMatrix(type: tensor.info.type, rows: rows, columns: columns, source: tensor.bytes, team: team)
    let buffer = Buffer<Float>(count: rows * columns)
    for row in 0..<rows { packed.copyRow(row, to: buffer.pointer + row * columns) }
    return buffer
  }

  /// A tensor's bias as floats, if the file has one.
  func bias(_ name: TensorName, count: Int) throws -> Buffer<Float>? {
    has(name, "bias") ? try vector(name, "bias", count: count) : nil
  }

  /// One learned number for each query head of a layer, where the file has them.
  func headNumbers(_ part: String, layer: Int) throws -> [Float]? {
    if let learned = try adapters.headNumbers(part, layer: layer, count: configuration.layers[layer].queryHeads) {
      return learned
    }
    // GGUF files have no module to which such numbers could belong.
    let places = [(TensorName("attn", layer: layer), part), (TensorName("attn_\(part)", layer: layer), "weight")]
    guard let place = places.first(where: { has($0.0, $0.1) }) else { return nil }
    let numbers = try vector(place.0, place.1, count: configuration.layers[layer].queryHeads)
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

  /// A tensor of just this shape.
  func tensor(_ name: TensorName, _ part: String, shape: [Int]) throws -> Tensor {
    let tensor = try tensor(name, part)
    guard tensor.info.shape == shape else {
      throw ModelError.badTensor(tensor.info.name, expected: shape, got: tensor.info.shape, in: file.path)
    }
    return tensor
  }

  private func tensor(_ name: TensorName, _ part: String) throws -> Tensor {
    guard let text = stored(name, part) else {
      throw ModelError.unsupported("the architecture has no name for '\(name.stem)'", in: file.path)
    }
    return try file.tensor(text)
  }

  /// A tensor by its whole name within a layer, where the file has it.
  func tensor(named name: String, layer: Int) throws -> Tensor? {
    try storedName(name, layer: layer).map { try file.tensor($0) }
  }

  /// What the file calls a tensor, given by its whole name within a layer; nil where it has none.
  func storedName(_ name: String, layer: Int) -> String? {
    let text = isGGUF ? "blk.\(layer).\(name)" : "\(names.layers).\(layer).\(name)"
    return file.hasTensor(text) ? text : textNames[text]
  }

  private func stored(_ name: TensorName, _ part: String) -> String? {
    guard let text = names.text(name, part, in: file.format) else { return nil }
    return file.hasTensor(text) ? text : textNames[text] ?? text
  }
}

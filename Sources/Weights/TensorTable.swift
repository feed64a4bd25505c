import ModelJSON

/// A model's tensors by name, each checked against its file and against the others.
struct TensorTable: Sendable {
  private(set) var tensors: [StoredTensor] = []
  private var positions: [String: Int] = [:]

  func tensor(_ name: String) -> StoredTensor? { positions[name].map { tensors[$0] } }

  /// Adds a tensor; throws where its name is taken.
  mutating func add(_ tensor: StoredTensor, path: String) throws(WeightsError) {
    guard positions.updateValue(tensors.count, forKey: tensor.name) == nil else {
      throw WeightsError(.duplicateTensor, path: path, subject: .tensor(tensor.name))
    }
    tensors.append(tensor)
  }

  /// Makes tensors findable by second names: a safetensors writer that meets one tensor under two names (tied
  /// embeddings) stores it once and notes the other name in `__metadata__` as a key with the kept name as its value.
  mutating func addAliases(_ metadata: JSONObject) {
    for (name, kept) in metadata where positions[name] == nil {
      if let position = kept.string.flatMap({ positions[$0] }), tensors[position].name == kept.string {
        positions[name] = position
      }
    }
  }

  /// The bytes that a tensor of this shape takes; nil where the type's layout is unknown. Throws where the product
  /// overflows or the innermost dimension is not made of whole blocks.
  static func byteCount(
    of name: String, shape: [Int], type: StoredType, path: String
  ) throws(WeightsError) -> Int? {
    var elements = 1
    for dimension in shape {
      let (product, overflow) = elements.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw WeightsError(.tooLarge, path: path, subject: .tensor(name)) }
      elements = product
    }
    guard let block = type.block else { return nil }
    let columns = shape.last ?? 1
    guard columns % block.elements == 0 else {
      throw WeightsError(
        .notWholeBlocks(columns: columns, type: type.name, blockSize: block.elements), path: path,
        subject: .tensor(name))
    }
    let (bytes, overflow) = (elements / block.elements).multipliedReportingOverflow(by: block.bytes)
    guard !overflow else { throw WeightsError(.tooLarge, path: path, subject: .tensor(name)) }
    return bytes
  }

  /// Throws where two tensors of one file share bytes. With `covering`, every byte of that range must belong to one.
  static func checkRanges(
    of tensors: [StoredTensor], covering: Range<Int>? = nil, path: String
  ) throws(WeightsError) {
    var end = covering?.lowerBound
    var last: StoredTensor?
    for tensor in tensors.sorted(by: { $0.byteRange.lowerBound < $1.byteRange.lowerBound })
    where !tensor.byteRange.isEmpty {
      let start = tensor.byteRange.lowerBound
      let failure = { WeightsError($0, path: path, subject: .tensor(tensor.name), offset: start) }
      if let last, start < last.byteRange.upperBound { throw failure(.overlap(with: last.name)) }
      if covering != nil, start != end { throw failure(.gap) }
      end = tensor.byteRange.upperBound
      last = tensor
    }
    if let covering, let last, end != covering.upperBound {
      throw WeightsError(.gap, path: path, subject: .tensor(last.name), offset: end)
    }
  }
}

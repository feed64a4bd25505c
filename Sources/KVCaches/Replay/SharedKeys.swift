import Kernels

/// Which layers of a model read the keys and values of an earlier one, and those keys and values while a step lasts.
///
/// The tokens of a layer that others read are placed after the last of them: until then its slots stay as they were before
/// the step, and what the step brings is kept here.
final class SharedKeys {
  /// The layer whose keys a layer reads: mostly its own number, `[layer]`.
  private let owners: Buffer<Int32>
  /// The last layer that reads the keys of a layer, `[owner]`.
  private let lastReaders: Buffer<Int32>
  /// Of owners with readers, `[token, KV head, headDim]`.
  private var kept: [Int: (keys: GrowingBuffer<Float>, values: GrowingBuffer<Float>)] = [:]
  private let widths: [Int]

  init(_ layers: [AttentionLayer]) {
    owners = Buffer(count: layers.count)
    lastReaders = Buffer(count: layers.count)
    widths = layers.map { $0.keyValueHeads * $0.headDim }
    for (index, layer) in layers.enumerated() {
      let owner = layer.keysOfLayer ?? index
      owners[index] = Int32(owner)
      lastReaders[index] = Int32(index)
      lastReaders[owner] = Int32(index)
      if owner != index { kept[owner] = (GrowingBuffer(), GrowingBuffer()) }
    }
  }

  /// The layer whose keys a layer reads.
  func owner(of layer: Int) -> Int { Int(owners.pointer[layer]) }

  /// Whether no later layer reads what this one reads.
  func isLastReader(_ layer: Int) -> Bool { Int(lastReaders.pointer[owner(of: layer)]) == layer }

  /// Keeps the keys and values of a step of so many rows, where later layers read them.
  func keep(layer: Int, rows: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
    guard !isLastReader(layer), let index = kept.index(forKey: layer) else { return }
    let count = rows * widths[layer]
    kept.values[index].keys.copy(UnsafeBufferPointer(start: keys, count: count))
    kept.values[index].values.copy(UnsafeBufferPointer(start: values, count: count))
  }

  /// The keys and values of the layer that a layer reads, in the step under way.
  func keysAndValues(readBy layer: Int) -> (keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
    guard let kept = kept[owner(of: layer)] else { preconditionFailure("a layer without keys") }
    return (UnsafePointer(kept.keys.pointer), UnsafePointer(kept.values.pointer))
  }
}

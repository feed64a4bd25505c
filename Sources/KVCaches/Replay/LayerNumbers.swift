import Kernels

/// What attention needs of each layer, in flat buffers.
struct LayerNumbers {
  /// The different kinds of heads.
  let shapes: [HeadShape]
  private let sinkLogits: Buffer<Float>?
  private let gates: Buffer<Float>?
  /// Where each layer's numbers of query heads begin, and (last) where they end.
  private let first: [Int]

  init(_ layers: [AttentionLayer]) {
    shapes = layers.reduce(into: []) { shapes, layer in
      if layer.recurrence == nil, !shapes.contains(HeadShape(layer)) { shapes.append(HeadShape(layer)) }
    }
    first = layers.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.queryHeads) }
    sinkLogits = Self.buffer(layers.map { layer in layer.sinkLogits.map { ($0, layer.queryHeads) } }, first)
    gates = Self.buffer(layers.map { layer in layer.gates.map { ($0, layer.queryHeads) } }, first)
  }

  /// Numbers of all layers, nil where no layer has any; -infinity stands where one has none.
  private static func buffer(_ numbers: [([Float], queryHeads: Int)?], _ first: [Int]) -> Buffer<Float>? {
    guard numbers.contains(where: { $0 != nil }) else { return nil }
    let buffer = Buffer<Float>(count: first[first.count - 1])
    buffer.elements.update(repeating: -.infinity)
    for (layer, numbers) in numbers.enumerated() {
      guard let numbers else { continue }
      precondition(numbers.0.count == numbers.queryHeads, "a number for every query head")
      for (head, number) in numbers.0.enumerated() { buffer.pointer[first[layer] + head] = number }
    }
    return buffer
  }

  func kind(of shape: HeadShape) -> Int { shapes.firstIndex(of: shape) ?? 0 }

  /// Learned sink logits of a layer, `[query head]`, -infinity where a head has none; nil where the model has none.
  func sinkLogits(layer: Int) -> UnsafePointer<Float>? { sinkLogits.map { UnsafePointer($0.pointer + first[layer]) } }

  /// Learned gates of a layer, `[query head]`, -infinity where a head has none; nil where the model has none.
  func gates(layer: Int) -> UnsafePointer<Float>? { gates.map { UnsafePointer($0.pointer + first[layer]) } }
}

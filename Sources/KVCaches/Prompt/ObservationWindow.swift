import Kernels

/// The queries of the newest tokens of a sequence, which vote when its prompt ends.
///
/// Kept from chunk to chunk, as they came from the model: the vote then does not depend on where chunks ended.
final class ObservationWindow {
  /// The most tokens that vote.
  let size: Int
  /// Rings without positions, `[layer, place in the stream modulo size, query head, headDim]`.
  let queries: Buffer<Float>
  /// Learned sink logits as the last step had them, -infinity where there are none, `[layer, query head]`.
  let sinkLogits: Buffer<Float>
  private let shape: KVCache.Shape

  init(size: Int, shape: KVCache.Shape) {
    self.size = size
    self.shape = shape
    queries = Buffer(count: shape.layers * size * shape.queryHeads * shape.headDim)
    sinkLogits = Buffer(count: shape.layers * shape.queryHeads)
    sinkLogits.elements.update(repeating: -.infinity)
  }

  static func bytes(size: Int, shape: KVCache.Shape) -> Int {
    shape.layers * shape.queryHeads * (size * shape.headDim + 1) * 4
  }

  var bytes: Int { (queries.count + sinkLogits.count) * 4 }

  private var width: Int { shape.queryHeads * shape.headDim }

  /// The queries of the token at a place in the stream, `[query head, headDim]`.
  func queries(layer: Int, position: Int64) -> UnsafeMutablePointer<Float> {
    queries.pointer + (layer * size + Int(position % Int64(size))) * width
  }

  /// Floats of what is kept of one token.
  var tokenFloats: Int { shape.layers * width }

  /// Copies what is kept at the place of a token, `[layer, query head, headDim]`.
  func copyQueries(at position: Int64, to target: UnsafeMutablePointer<Float>) {
    for layer in 0..<shape.layers {
      (target + layer * width).update(from: queries(layer: layer, position: position), count: width)
    }
  }

  /// Takes up again what was kept at the place of a token, as `copyQueries` gave it.
  func setQueries(at position: Int64, from source: UnsafePointer<Float>) {
    for layer in 0..<shape.layers {
      queries(layer: layer, position: position).update(from: source + layer * width, count: width)
    }
  }

  /// Forgets everything.
  func reset() {
    queries.elements.update(repeating: 0)
    sinkLogits.elements.update(repeating: -.infinity)
  }

  /// Takes over what a window of one layer keeps, as layer `layer`.
  func copy(_ other: ObservationWindow, toLayer layer: Int) {
    assert(other.queries.count == size * width, "a window of one layer")
    (queries.pointer + layer * size * width).update(from: other.queries.pointer, count: size * width)
    (sinkLogits.pointer + layer * shape.queryHeads).update(from: other.sinkLogits.pointer, count: shape.queryHeads)
  }

  /// Calls `body` with all that is kept of a sequence of so many tokens.
  func forEachUsedRange(tokens: Int64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let used = Int(min(tokens, Int64(size)))
    for layer in 0..<shape.layers {
      body(UnsafeMutableRawBufferPointer(start: queries.pointer + layer * size * width, count: used * width * 4))
    }
    body(UnsafeMutableRawBufferPointer(sinkLogits.elements))
  }

  /// The bytes that `forEachUsedRange` hands over.
  static func usedBytes(tokens: Int64, size: Int, shape: KVCache.Shape) -> Int {
    bytes(size: Int(min(tokens, Int64(size))), shape: shape)
  }
}

extension StepTables {
  /// Keeps the queries of the chunk's last tokens where they vote later.
  func observe(_ call: LocalAttention.LayerCall) {
    guard let observation else { return }
    let width = shape.queryHeads * shape.headDim
    for token in max(0, rows.count - observation.size)..<rows.count {
      observation.queries(layer: call.layer, position: firstPosition + Int64(token))
        .update(from: call.queries + (rows.lowerBound + token) * width, count: width)
    }
    if let logits = call.sinkLogits {
      (observation.sinkLogits.pointer + call.layer * shape.queryHeads).update(from: logits, count: shape.queryHeads)
    }
  }
}

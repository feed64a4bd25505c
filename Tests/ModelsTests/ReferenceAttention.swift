import Foundation
import KVCaches
import Kernels
import TestSupport

/// A memory that attends in Float64, one query after another, as `AttentionLayer` describes it: to everything, or in layers
/// without a window to attention sinks and the last tokens, which stand side by side.
///
/// The reference for models whose layers differ; it shares nothing with the caches.
final class ReferenceAttention: LayerAttention {
  private struct Head {
    /// Without positions, `[token][headDim]`.
    var keys: [[Double]] = []
    var values: [[Double]] = []
  }

  private let layers: [AttentionLayer]
  private let streaming: (sinks: Int, window: Int)?
  private let recurrent: ReferenceRecurrence
  /// `[layer][KV head]`
  private var heads: [[Head]]
  private var rows = 0
  private var queries: UnsafePointer<Float>?

  init(_ layers: [AttentionLayer], streaming: (sinks: Int, window: Int)? = nil) {
    self.layers = layers
    self.streaming = streaming
    recurrent = ReferenceRecurrence(layers)
    heads = layers.map { [Head](repeating: Head(), count: $0.keyValueHeads) }
  }

  func beginStep(rows: Int) { self.rows = rows }

  func begin(layer: Int, queries: UnsafePointer<Float>) {
    precondition(self.queries == nil, "attention begins once a layer")
    self.queries = queries
  }

  func finish(
    layer index: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    guard let queries else { preconditionFailure("finish without begin") }
    self.queries = nil
    let (layer, dim) = (layers[index], layers[index].headDim)
    let owner = layer.keysOfLayer ?? index
    let start = heads[owner][0].keys.count - (owner == index ? 0 : rows)
    func vector(_ base: UnsafePointer<Float>, _ position: Int) -> [Double] {
      (0..<dim).map { Double(base[position * dim + $0]) }
    }
    for row in 0..<rows {
      if let keys, let values, owner == index {
        for head in 0..<layer.keyValueHeads {
          let position = row * layer.keyValueHeads + head
          heads[index][head].keys.append(vector(keys, position))
          heads[index][head].values.append(vector(values, position))
        }
      }
      for head in 0..<layer.queryHeads {
        let position = row * layer.queryHeads + head
        let result = attend(
          vector(queries, position), at: start + row,
          heads[owner][head / layer.groupSize], layer, queryHead: head)
        for (dimension, value) in result.enumerated() { output[position * dim + dimension] = Float(value) }
      }
    }
  }

  func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) { recurrent.convolve(layer: layer, convolution, rows: rows, input: input, output: output) }

  func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) { recurrent.applyDeltaRule(layer: layer, call, rows: rows) }

  private func rotated(_ vector: [Double], by position: Int, _ layer: AttentionLayer) -> [Double] {
    guard case .rotary(let rotary) = layer.positions else { return vector }
    return rotaryReference(
      vector, by: position, frequencies: rotary.frequencies, inHalves: rotary.layout == .halves)
  }

  private func attend(
    _ query: [Double], at position: Int, _ head: Head, _ layer: AttentionLayer, queryHead: Int
  ) -> [Double] {
    let sink = layer.sinkLogits.map { Double($0[queryHead]) }
    let seen: [Int]
    if layer.window == nil, let streaming {
      seen = (0...position).filter { $0 < streaming.sinks || $0 > position - streaming.window }
    } else {
      seen = Array(max(0, position + 1 - (layer.window ?? .max))...position)
    }
    // Where nothing is left out, distances are the same as in the text.
    let query = rotated(query, by: seen.count - 1, layer)
    let logits = seen.enumerated().map { place, token in
      let logit =
        zip(query, rotated(head.keys[token], by: place, layer)).reduce(0) { $0 + $1.0 * $1.1 } * Double(layer.scale)
      let bias = layer.slope(ofQueryHead: queryHead) * Double(place - seen.count + 1)
      return bias + (layer.softCap.map { Double($0) * tanh(logit / Double($0)) } ?? logit)
    }
    let largest = max(logits.max() ?? 0, sink ?? -.infinity)
    let weights = logits.map { exp($0 - largest) }
    let sum = weights.reduce(sink.map { exp($0 - largest) } ?? 0, +)
    return query.indices.map { dimension in
      zip(seen, weights).reduce(0) { $0 + $1.1 * head.values[$1.0][dimension] } / sum
    }
  }
}

extension AttentionLayer {
  /// The slope of ALiBi, 0 without.
  fileprivate func slope(ofQueryHead head: Int) -> Double {
    if case .linearBias(let slopes) = positions { Double(slopes[head]) } else { 0 }
  }
}

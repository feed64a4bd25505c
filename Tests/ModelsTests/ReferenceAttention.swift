import Foundation
import KVCaches
import Kernels
import TestSupport

/// A memory that attends in Float64, one query after another, as `AttentionLayer` describes it: to everything, or in layers
/// without a window to what a plan keeps, whose tokens stand side by side.
///
/// The reference for models whose layers differ; it shares nothing with the caches.
final class ReferenceAttention: LayerAttention {
  private struct Head {
    /// Without positions, `[token][headDim]`.
    var keys: [[Double]] = []
    var values: [[Double]] = []
  }

  /// What layers without a window keep.
  enum Kept {
    case everything
    case streaming(sinks: Int, window: Int)
    /// Of windows newest first; steps are of one token then.
    case cascading(sinks: Int, windows: [Int])
  }

  private let layers: [AttentionLayer]
  private let kept: Kept
  private let recurrent: ReferenceRecurrence
  /// `[layer][KV head]`
  private var heads: [[Head]]
  /// `[layer][KV head]`, where tokens cascade.
  private var cascades: [[ReferenceCascade]] = []
  /// The attention that the last step gave tokens, `[layer][KV head]`.
  private var credits: [[[Int: Double]]]
  private var rows = 0
  private var queries: UnsafePointer<Float>?

  init(_ layers: [AttentionLayer], keeping kept: Kept = .everything) {
    self.layers = layers
    self.kept = kept
    recurrent = ReferenceRecurrence(layers)
    heads = layers.map { [Head](repeating: Head(), count: $0.keyValueHeads) }
    credits = layers.map { [[Int: Double]](repeating: [:], count: $0.keyValueHeads) }
    if case .cascading(let sinks, let windows) = kept {
      let empty = ReferenceCascade(sinks: sinks, windows: windows)
      cascades = layers.map { [ReferenceCascade](repeating: empty, count: $0.keyValueHeads) }
    }
  }

  func beginStep(rows: Int) {
    self.rows = rows
    guard !cascades.isEmpty else { return }
    precondition(rows == 1, "tokens cascade one by one")
    for layer in layers.indices where layers[layer].keepsKeys {
      for head in cascades[layer].indices where !heads[layer][head].keys.isEmpty {
        cascades[layer][head].take(heads[layer][head].keys.count - 1, credits: credits[layer][head])
        credits[layer][head] = [:]
      }
    }
  }

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
      for head in 0..<layer.keyValueHeads {
        let seen = seen(layer: owner, head: head, at: start + row)
        // Where nothing is left out, distances are the same as in the text.
        let keys = seen.enumerated().map { rotated(heads[owner][head].keys[$1], by: $0, layer) }
        let values = seen.map { heads[owner][head].values[$0] }
        var credit = [Double](repeating: 0, count: seen.count)
        for queryHead in head * layer.groupSize..<(head + 1) * layer.groupSize {
          let position = row * layer.queryHeads + queryHead
          let (result, weights) = attend(
            vector(queries, position), to: keys, values, layer, queryHead: queryHead)
          for (dimension, value) in result.enumerated() { output[position * dim + dimension] = Float(value) }
          credit = zip(credit, weights).map { max($0, $1) }
        }
        guard !cascades.isEmpty else { continue }
        for (token, credit) in zip(seen, credit) { credits[owner][head][token, default: 0] += credit }
      }
    }
  }

  /// The tokens that a query of a layer sees, oldest first; the last is its own.
  private func seen(layer: Int, head: Int, at position: Int) -> [Int] {
    if let window = layers[layer].window { return Array(max(0, position + 1 - window)...position) }
    switch kept {
    case .everything: return Array(0...position)
    case .streaming(let sinks, let window):
      return (0...position).filter { $0 < sinks || $0 > position - window }
    case .cascading: return cascades[layer][head].held + [position]
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
    _ query: [Double], to keys: [[Double]], _ values: [[Double]], _ layer: AttentionLayer, queryHead: Int
  ) -> (output: [Double], weights: [Double]) {
    let sink = layer.sinkLogits.map { Double($0[queryHead]) }
    let position = keys.count - 1
    let growth =
      layer.temperature.map { 1 + $0.growth * log(1 + floor(Double(position) / Double($0.length))) } ?? 1
    let query = rotated(query, by: position, layer).map { $0 * growth }
    let logits = keys.enumerated().map { place, key in
      let logit = zip(query, key).reduce(0) { $0 + $1.0 * $1.1 } * Double(layer.scale)
      let bias = layer.slope(ofQueryHead: queryHead) * Double(place - position)
      return bias + (layer.softCap.map { Double($0) * tanh(logit / Double($0)) } ?? logit)
    }
    let largest = max(logits.max() ?? 0, sink ?? -.infinity)
    let weights = logits.map { exp($0 - largest) }
    let sum = weights.reduce(sink.map { exp($0 - largest) } ?? 0, +)
    let output = query.indices.map { dimension in
      zip(values, weights).reduce(0) { $0 + $1.1 * $1.0[dimension] } / sum
    }
    return (output, weights.map { $0 / sum })
  }
}

extension AttentionLayer {
  /// The slope of ALiBi, 0 without.
  fileprivate func slope(ofQueryHead head: Int) -> Double {
    if case .linearBias(let slopes) = positions { Double(slopes[head]) } else { 0 }
  }
}

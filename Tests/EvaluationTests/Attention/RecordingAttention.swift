import Engine
import Foundation
import KVCaches
import Kernels
import Models
import TestSupport

/// A full cache that keeps what a model hands to its attention, and what the definition makes of that in Float64.
final class RecordingAttention: LayerAttention {
  private let attention: LocalAttention
  private let cache: KVCache
  private let shape: KVCache.Shape
  private let rotary: RotaryEmbedding?
  private var rows = 0
  /// `[layer][token, query head, headDim]`
  private var queries: [[Float]]
  /// `[layer][token, KV head, headDim]`
  private var keys: [[Float]]
  private var values: [[Float]]

  /// Reads tokens in one chunk with an engine.
  init(_ tokens: [Int32], engine: InferenceEngine) throws {
    cache = try engine.makeCache(.full, slotType: .float32)
    shape = cache.shape
    attention = LocalAttention(shape: shape, team: engine.team, kernels: engine.kernels)
    if case .rotary(let rotary) = cache.attention[0].positions { self.rotary = rotary } else { rotary = nil }
    queries = Array(repeating: [], count: shape.layers)
    keys = queries
    values = queries
    rows = tokens.count
    attention.beginStep(cache, rows: rows)
    tokens.withUnsafeBufferPointer {
      engine.model.forward($0, attention: self, workspace: engine.workspace, team: engine.team)
    }
  }

  func begin(layer: Int, queries: UnsafePointer<Float>) {
    self.queries[layer] = Array(UnsafeBufferPointer(start: queries, count: rows * shape.queryHeads * shape.headDim))
    attention.begin(layer: layer, queries: queries)
  }

  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    let count = rows * shape.keyValueHeads * shape.headDim
    guard let keys, let values else { preconditionFailure("a layer without keys") }
    self.keys[layer] = Array(UnsafeBufferPointer(start: keys, count: count))
    self.values[layer] = Array(UnsafeBufferPointer(start: values, count: count))
    attention.finish(layer: layer, keys: keys, values: values, output: output)
  }

  /// What one query gives some tokens, each at its place in the stream, or all without positions; `[token]`.
  func probabilities(
    layer: Int, queryHead: Int, position: Int, of tokens: [Int], hasPositions: Bool = true
  ) -> [Double] {
    let query = vector(queries[layer], position * shape.queryHeads + queryHead)
    let exponentials = tokens.map { token in
      let key = vector(keys[layer], token * shape.keyValueHeads + queryHead / shape.groupSize)
      let product = zip(hasPositions ? rotated(query, by: position - token) : query, key).reduce(0) { $0 + $1.0 * $1.1 }
      return exp(product / Double(shape.headDim).squareRoot())
    }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { $0 / sum }
  }

  /// The output of one query over some tokens, `[headDim]`.
  func output(
    layer: Int, queryHead: Int, position: Int, of tokens: [Int], hasPositions: Bool = true
  ) -> [Double] {
    let weights = probabilities(
      layer: layer, queryHead: queryHead, position: position, of: tokens, hasPositions: hasPositions)
    var output = [Double](repeating: 0, count: shape.headDim)
    for (token, weight) in zip(tokens, weights) {
      let value = vector(values[layer], token * shape.keyValueHeads + queryHead / shape.groupSize)
      for dim in output.indices { output[dim] += weight * value[dim] }
    }
    return output
  }

  private func vector(_ vectors: [Float], _ index: Int) -> [Double] {
    vectors[index * shape.headDim..<(index + 1) * shape.headDim].map { Double($0) }
  }

  private func rotated(_ vector: [Double], by distance: Int) -> [Double] {
    guard let rotary else { return vector }
    return rotaryReference(
      vector, by: distance, frequencies: rotary.frequencies, inHalves: rotary.layout == .halves)
  }
}

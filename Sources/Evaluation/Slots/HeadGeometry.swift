import CLibrary
package import KVCaches
package import Kernels

/// How the keys and values of one KV head lie, in the scale of the theorems about clustered attention (arXiv 2402.06082):
/// queries and keys times headDim^(−1/4), so that their product is the logit.
package struct HeadGeometry: Sendable, Hashable {
  /// The smallest radius found for so many clusters of keys as were asked for, by greedy k-center.
  package var radius: Double
  /// The largest norm of the group's queries.
  package var queryNorm: Double
  /// ‖V‖²_F / ‖V‖²₂ of the values, between 1 and headDim.
  package var stableRank: Double
  /// The standard deviation of the logits, the mean over the group.
  package var logitSpread: Double
  /// √(stable rank / samples) × |softmax|₂ × ‖V‖₂ / |output|: how large the error of the literal estimator's numerator is in
  /// root mean square at most, with as many samples as clusters; the mean over the group.
  package var sampleBound: Double
  /// (exp(2 radius × query norm) − 1) × max |v| / |output|: what no error exceeds where each cluster is attended to as its
  /// first key with its count and the mean of its values; the largest of the group.
  package var clusterBound: Double
  /// Keys and values beside each other, in their own units: SubGen rests on keys that cluster where values do not.
  package var keys = PointCloud()
  package var values = PointCloud()
}

extension KVCache {
  /// How the keys and values of one layer lie, `[KV head]`.
  ///
  /// Costs `clusters` passes over the keys and the values of each head, on the calling thread, and with `delta` a pass for
  /// each of its clusters.
  ///
  /// - Parameters:
  ///   - queries: the newest token's queries in this layer, without positions, `[query head, headDim]`
  ///   - delta: within which distance keys make a cluster; values do within the same share of their spread.
  /// - Precondition: the cache keeps every token, and the layer has taken in the newest one.
  package func geometry(
    layer: Int, queries: UnsafePointer<Float>, clusters: Int, delta: Double? = nil, kernels: InstructionSet
  ) -> [HeadGeometry] {
    precondition(plan == .full && tokenCount > 0 && clusters > 0, "only a full cache has a slot for every token")
    let rotated = Buffer<Float>(count: shape.queryHeads * shape.headDim)
    rotated.pointer.update(from: queries, count: rotated.count)
    rotate(rotated.pointer, of: layer, to: tokenCount - 1, kernels)
    let scale = 1 / Float(shape.headDim).squareRoot().squareRoot()
    kernels.scale(rotated.pointer, by: scale, count: rotated.count)
    return (0..<shape.keyValueHeads).map { head in
      let rows = HeadRows(self, layer: layer, head: head, scale: scale, kernels)
      var result = geometry(
        rows, queries: rotated.pointer, head: head, clusters: clusters, slopes: slopes(layer: layer), kernels)
      let values = rows.valueSlots(kernels)
      result.values = PointCloud(values, count: rows.count, centers: clusters, kernels)
      guard let delta else { return result }
      let share = result.keys.spread > 0 ? result.values.spread / result.keys.spread : 0
      result.keys.clusters = PointCloud.clusters(
        rows.slots, count: rows.count, within: delta * Double(scale), kernels)
      result.values.clusters = PointCloud.clusters(values, count: rows.count, within: delta * share, kernels)
      return result
    }
  }

  private func geometry(
    _ rows: HeadRows, queries: UnsafePointer<Float>, head: Int, clusters: Int, slopes: [Float]?,
    _ kernels: InstructionSet
  ) -> HeadGeometry {
    let group = shape.groupSize
    let keys = PointCloud(rows.slots, count: rows.count, scale: rows.scale, centers: clusters, kernels)
    let radius = keys.radius * Double(rows.scale)
    let (rank, norm) = rows.valueRank()
    var result = HeadGeometry(
      radius: radius, queryNorm: 0, stableRank: rank, logitSpread: 0, sampleBound: 0, clusterBound: 0, keys: keys)
    for query in head * group..<(head + 1) * group {
      let row = queries + query * shape.headDim
      let queryNorm = (0..<shape.headDim).reduce(0.0) { $0 + Double(row[$1]) * Double(row[$1]) }.squareRoot()
      let answer = rows.attend(row, slope: slopes.map { Double($0[query]) } ?? 0)
      result.queryNorm = max(result.queryNorm, queryNorm)
      result.logitSpread += answer.spread / Double(group)
      result.sampleBound +=
        (rank / Double(clusters)).squareRoot() * answer.weightNorm * norm / answer.outputNorm / Double(group)
      result.clusterBound = max(
        result.clusterBound, (exp(2 * radius * queryNorm) - 1) * rows.largestValue / answer.outputNorm)
    }
    return result
  }
}

/// The stored keys and values of one head, as floats.
private struct HeadRows {
  let count: Int
  let headDim: Int
  /// What keys are multiplied with.
  let scale: Float
  /// Keys, scaled.
  let slots: SlotStorage
  private let memory: Buffer<UInt8>
  private let valueMemory: Buffer<UInt8>
  /// `[token, headDim]`
  private let keys: Buffer<Float>
  /// `[token, headDim]`
  private let values: Buffer<Float>

  init(_ cache: KVCache, layer: Int, head: Int, scale: Float, _ kernels: InstructionSet) {
    count = Int(cache.tokenCount)
    headDim = cache.shape.headDim
    self.scale = scale
    memory = Buffer(count: SlotStorage.keyBytes(type: .float32, headDim: headDim, slots: count))
    valueMemory = Buffer(count: memory.count)
    keys = Buffer(count: count * headDim)
    values = Buffer(count: count * headDim)
    let base = UnsafeMutableRawPointer(memory.pointer)
    slots = SlotStorage(type: .float32, headDim: headDim, slots: count, keys: base, values: base)
    let (keys, values, slots, headDim) = (keys.pointer, values.pointer, slots, headDim)
    SlotReader(cache).forEachBlock(layer: layer, head: head) { stored, run, first in
      for slot in run {
        let key = keys + (first + slot) * headDim
        kernels.readKey(slot, of: stored, to: key)
        kernels.scale(key, by: scale, count: headDim)
        kernels.writeKey(key, to: first + slot, of: slots)
        kernels.readValue(slot, of: stored, to: values + (first + slot) * headDim)
      }
    }
  }

  /// The values where keys of slots stand.
  func valueSlots(_ kernels: InstructionSet) -> SlotStorage {
    let base = UnsafeMutableRawPointer(valueMemory.pointer)
    let slots = SlotStorage(type: .float32, headDim: headDim, slots: count, keys: base, values: base)
    for token in 0..<count { kernels.writeKey(values.pointer + token * headDim, to: token, of: slots) }
    return slots
  }

  /// The largest norm of a value.
  var largestValue: Double {
    (0..<count).reduce(0.0) { max($0, norm(of: $1)) }
  }

  private func norm(of token: Int) -> Double {
    let value = values.pointer + token * headDim
    return (0..<headDim).reduce(0.0) { $0 + Double(value[$1]) * Double(value[$1]) }.squareRoot()
  }

  /// ‖V‖²_F / ‖V‖²₂ and ‖V‖₂, by power iteration on VᵀV.
  func valueRank() -> (rank: Double, norm: Double) {
    var product = [Double](repeating: 0, count: headDim * headDim)
    for token in 0..<count {
      let value = values.pointer + token * headDim
      for row in 0..<headDim {
        let factor = Double(value[row])
        for column in 0..<headDim { product[row * headDim + column] += factor * Double(value[column]) }
      }
    }
    let trace = (0..<headDim).reduce(0.0) { $0 + product[$1 * headDim + $1] }
    // A start that is orthogonal to no direction in particular.
    var vector = (0..<headDim).map { 1 + Double($0 * 7919 % 101) / 101 }
    var largest = 0.0
    for _ in 0..<100 {
      let next = (0..<headDim).map { row in
        (0..<headDim).reduce(0.0) { $0 + product[row * headDim + $1] * vector[$1] }
      }
      largest = next.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard largest > 0 else { return (1, 0) }
      vector = next.map { $0 / largest }
    }
    return (trace / largest, largest.squareRoot())
  }

  /// The softmax of one query over all tokens, in Float64.
  func attend(
    _ query: UnsafePointer<Float>, slope: Double
  ) -> (spread: Double, weightNorm: Double, outputNorm: Double) {
    let logits = (0..<count).map { token in
      let key = keys.pointer + token * headDim
      let product = (0..<headDim).reduce(0.0) { $0 + Double(query[$1]) * Double(key[$1]) }
      return product - slope * Double(count - 1 - token)
    }
    let mean = logits.reduce(0, +) / Double(count)
    let spread = (logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)).squareRoot()
    let largest = logits.max() ?? 0
    let weights = logits.map { exp($0 - largest) }
    let sum = weights.reduce(0, +)
    var output = [Double](repeating: 0, count: headDim)
    for (token, weight) in weights.enumerated() {
      let value = values.pointer + token * headDim
      for index in 0..<headDim { output[index] += weight / sum * Double(value[index]) }
    }
    let weightNorm = weights.reduce(0) { $0 + $1 / sum * ($1 / sum) }.squareRoot()
    return (spread, weightNorm, output.reduce(0) { $0 + $1 * $1 }.squareRoot())
  }
}

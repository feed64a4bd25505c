import Kernels

extension SubGenSummary {
  /// Appends one head: its numbers, the clusters in use with their samples, and all value samples once there are any.
  func write(head: Int, to writer: inout SnapshotWriter) {
    let (clusters, values) = (normalizerClusters(head), valueSamples(head))
    writer.write(Int64(clusters.used))
    writer.write(clusters.delta.pointee.bitPattern)
    writer.write(values.mass.pointee.bitPattern)
    writer.write(clusters.counts, count: clusters.used)
    forEachKeyRange(clusters) { writer.write(UnsafeRawBufferPointer($0)) }
    guard values.mass.pointee > 0 else { return }
    writer.write(values.logWeights, count: values.slots.slots)
  }

  /// Takes up one head.
  func read(head: Int, from reader: inout SnapshotReader) throws(KVCacheError) {
    let (clusters, values) = (normalizerClusters(head), valueSamples(head))
    clusters.usedCount.pointee = Int32(try reader.readCount(limit: clusters.limit))
    clusters.delta.pointee = Double(bitPattern: try reader.read())
    values.mass.pointee = Double(bitPattern: try reader.read())
    guard clusters.delta.pointee >= 0, values.mass.pointee >= 0, values.mass.pointee.isFinite else {
      throw .badSnapshot("samples of a mass of \(values.mass.pointee) within \(clusters.delta.pointee)")
    }
    try reader.read(into: clusters.counts, count: clusters.used)
    for cluster in 0..<clusters.used {
      let count = clusters.counts[cluster]
      guard count >= 1, count.isFinite else { throw .badSnapshot("a cluster of \(count) tokens") }
      clusters.setCount(count, of: cluster)
    }
    var expected = 0
    forEachKeyRange(clusters) { expected += $0.count }
    let payload = try reader.take(expected)
    var offset = 0
    forEachKeyRange(clusters) { target in
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: payload[offset..<offset + target.count]))
      offset += target.count
    }
    guard values.mass.pointee > 0 else { return }
    try reader.read(into: values.logWeights, count: values.slots.slots)
    for slot in 0..<values.slots.slots where !values.logWeights[slot].isFinite {
      throw .badSnapshot("a sample of weight \(values.logWeights[slot])")
    }
  }

  /// Calls `body` with the keys of the clusters in use and of their samples.
  private func forEachKeyRange(_ clusters: NormalizerClusters, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    for (slots, used) in [
      (clusters.representatives, clusters.used), (clusters.samples, clusters.used * clusters.samplesPerCluster),
    ] {
      let bytes = SlotStorage.keyBytes(type: slots.type, headDim: slots.headDim, slots: used)
      body(UnsafeMutableRawBufferPointer(start: slots.keys, count: bytes))
    }
  }
}

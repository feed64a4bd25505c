/// How far a load has to be ahead of the model, so that no layer is waited for.
///
/// Layer-wise pre-loading of CachedAttention (arXiv 2403.19708, section 3), whose read buffer is so many layers. The paper
/// counts in bytes for layers that are all alike; here each layer has its own time, and the answer is exact.
package enum LayerLead {
  /// The fewest layers that have to be there before computing begins, from 1 to all.
  ///
  /// For `L` layers that load in `t` and compute in `c` each, that is `(L t − (L − 1) c) / t` rounded up, and 1 where `t ≤ c`.
  ///
  /// - Parameters:
  ///   - loadSeconds: of each layer, in the order in which they come
  ///   - computeSeconds: of a layer
  package static func layers(loadSeconds: [Double], computeSeconds: Double) -> Int {
    let all = loadSeconds.count
    return (1...max(1, all)).first { suffices($0, loadSeconds: loadSeconds, computeSeconds: computeSeconds) } ?? all
  }

  /// Whether no layer will be waited for if computing begins now, with so many layers there.
  package static func suffices(_ arrived: Int, loadSeconds: [Double], computeSeconds: Double) -> Bool {
    // The first layer is waited for by whoever begins.
    guard arrived > 0 || loadSeconds.isEmpty else { return false }
    var loaded = 0.0
    for layer in loadSeconds.indices.dropFirst(arrived) {
      loaded += loadSeconds[layer]
      guard loaded <= Double(layer) * computeSeconds else { return false }
    }
    return true
  }

  /// When the last layer is computed, counted from the start of the load, and for how long layers were waited for.
  ///
  /// - Parameter lead: layers that are there when computing begins
  package static func replay(
    loadSeconds: [Double], computeSeconds: Double, lead: Int
  ) -> (end: Double, stall: Double) {
    let start = loadSeconds.prefix(lead).reduce(0, +)
    var (loaded, end) = (0.0, start)
    for seconds in loadSeconds {
      loaded += seconds
      end = max(end, loaded) + computeSeconds
    }
    return (end, end - start - Double(loadSeconds.count) * computeSeconds)
  }
}

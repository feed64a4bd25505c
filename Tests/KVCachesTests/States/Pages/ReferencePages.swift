import CacheTestSupport
import KVCaches
import Kernels

/// Attention of a token that comes alone to some pages of all tokens before it, in Float64: pages chosen by the bound of
/// the paper (arXiv 2406.10774, section 3.3) from raw keys, rotated by their places, then a softmax over exactly these.
///
/// Knows nothing of slots, blocks, halves or clocks.
struct ReferencePages {
  let base: ReferenceAttention
  let budget: Int
  let page: Int
  let denseLayers: Int

  init(_ sequence: TokenSequence, budget: Int, page: Int, denseLayers: Int) {
    base = ReferenceAttention(sequence, plan: .full)
    (self.budget, self.page, self.denseLayers) = (budget, page, denseLayers)
  }

  /// Outputs of one token, `[query head, headDim]`, and how far the worst page chosen by its bound is above the best one
  /// left out, relative to the larger of them.
  func output(layer: Int, token: Int) -> (output: [Float], gap: Double) {
    guard layer >= denseLayers, token > budget else { return (base.output(layer: layer, token: token), .infinity) }
    let shape = base.sequence.shape
    var (output, gap): ([Float], Double) = ([], .infinity)
    for head in 0..<shape.keyValueHeads {
      let keys = (0...token).map { base.rotated(base.sequence.key(layer: layer, token: $0, head: head), at: $0) }
      let queryHeads = head * shape.groupSize..<(head + 1) * shape.groupSize
      let queries = queryHeads.map {
        base.rotated(base.sequence.query(layer: layer, token: token, head: $0), at: token)
      }
      let bounds = stride(from: 0, to: token, by: page).map { first in
        let last = min(first + page, token)
        return zip(queryHeads, queries).map { bound($0.1, keys[first..<last], $0.0, distance: token - last + 1) }.max()!
      }
      let ranked = (1..<bounds.count - 1).sorted { bounds[$0] > bounds[$1] }
      let kept = budget / page - 2
      if kept > 0 {
        let (a, b) = (bounds[ranked[kept - 1]], bounds[ranked[kept]])
        gap = min(gap, (a - b) / max(abs(a), abs(b)))
      }
      let pages = Set([0, bounds.count - 1] + ranked.prefix(kept))
      let attended = (0..<token).filter { pages.contains($0 / page) } + [token]
      for (queryHead, query) in zip(queryHeads, queries) {
        var logits = attended.map { key in
          zip(query, keys[key]).reduce(0) { $0 + $1.0 * $1.1 } / Double(shape.headDim).squareRoot()
            - base.slope(queryHead) * Double(token - key)
        }
        if let sink = base.sequence.sinkLogits?[layer][queryHead] { logits.append(Double(sink)) }
        output += base.mix(logits, attended, layer: layer, head: head)
      }
    }
    return (output, gap)
  }

  private func bound(_ query: [Double], _ keys: ArraySlice<[Double]>, _ head: Int, distance: Int) -> Double {
    let products = query.indices.reduce(0.0) { sum, dim in
      let column = keys.map { $0[dim] }
      return sum + max(query[dim] * column.min()!, query[dim] * column.max()!)
    }
    return products / Double(query.count).squareRoot() - base.slope(head) * Double(distance)
  }
}

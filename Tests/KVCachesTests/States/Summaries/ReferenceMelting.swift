import Foundation
import Kernels

@testable import KVCaches

/// A stage that forgets nothing: what melts in is written down and attended to one by one, in Float64.
///
/// With it at the end a cache must answer as lists of all tokens do, which shows that every token arrives where it should,
/// turned as it should be.
struct ReferenceMelting: MeltingSpecification {
  var distance = StageDistance.clipped
  var distanceSpread = 0
  var description: String { distance == .clipped ? "reference" : "reference[positions=original]" }

  func makeState(_ site: StateSite) -> StageState { ReferenceSummary(site, isClipped: distance == .clipped) }
  func bytes(_ site: StateSite, tokens: Int) -> Int { 0 }
}

final class ReferenceSummary: StageSummary {
  /// `[layer, KV head][token, headDim]`
  private(set) var keys: [[Float]]
  private(set) var values: [[Float]]
  private(set) var observed: [[Float]]

  override init(_ site: StateSite, isClipped: Bool) {
    keys = Array(repeating: [], count: site.count)
    (values, observed) = (keys, keys)
    super.init(site, isClipped: isClipped)
  }

  override var observesArrivals: Bool { true }

  override func reset() {
    for head in keys.indices { (keys[head], values[head], observed[head]) = ([], [], []) }
  }

  override func observe(
    key: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    lock.withLock { observed[head] += UnsafeBufferPointer(start: key, count: headDim) }
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    lock.withLock {
      keys[head] += UnsafeBufferPointer(start: key, count: headDim)
      values[head] += UnsafeBufferPointer(start: value, count: headDim)
    }
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let dim = headDim
    for token in stride(from: share.index, to: keys[head].count / dim, by: share.count) {
      for row in 0..<queries.count {
        var logit: Float = 0
        for index in 0..<dim {
          logit += queries.queries[row * queries.stride + index] * keys[head][token * dim + index]
        }
        let maximum = max(partial.max[row], logit)
        let (old, new) = (exp(partial.max[row] - maximum), exp(logit - maximum))
        partial.max[row] = maximum
        partial.sum[row] = partial.sum[row] * old + new
        for index in 0..<dim {
          let place = row * partial.stride + index
          partial.out[place] = partial.out[place] * old + new * values[head][token * dim + index]
        }
      }
    }
  }

  /// Arrays of arrays are not for several threads.
  private let lock = NSLock()
}

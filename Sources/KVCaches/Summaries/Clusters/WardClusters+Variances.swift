import Kernels

/// How far the keys of clusters spread about their centroids, in each dimension alone.
///
/// Variances are of keys weighted as counts are, so they stay as they are when counts fade. Those of a union follow exactly
/// from those of its parts (Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983): their mean, and
/// what the distance of the centroids adds.
extension WardClusters {
  /// Makes the variances of a cluster those of a single key.
  func clearVariances(of slot: Int, _ scratch: Scratch, _ kernels: InstructionSet) {
    guard let variances else { return }
    scratch.panel.update(repeating: 0, count: slots.headDim)
    kernels.writeKey(scratch.panel, to: slot, of: variances)
  }

  /// Takes a key into the variances of the cluster that it joins.
  ///
  /// - Parameters:
  ///   - centroid: of the cluster before, `[headDim]`.
  ///   - share: of the key in the cluster after.
  func spreadVariances(
    of slot: Int, from centroid: UnsafePointer<Float>, to key: UnsafePointer<Float>, share: Float, _ scratch: Scratch,
    _ kernels: InstructionSet
  ) {
    guard let variances else { return }
    let spread = scratch.panel
    kernels.readKey(slot, of: variances, to: spread)
    for index in 0..<slots.headDim {
      let difference = key[index] - centroid[index]
      spread[index] = (spread[index] + share * difference * difference) * (1 - share)
    }
    kernels.writeKey(spread, to: slot, of: variances)
  }

  /// Makes the variances of a cluster those of its union with another one, whose centroids are in the scratch.
  ///
  /// - Parameter share: of the other one in the union.
  func mergeVariances(
    of slot: Int, with other: Int, share: Float, _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    guard let variances else { return }
    let (spread, added) = (scratch.panel, scratch.panel + slots.headDim)
    kernels.readKey(slot, of: variances, to: spread)
    kernels.readKey(other, of: variances, to: added)
    for index in 0..<slots.headDim {
      let difference = scratch.second[index] - scratch.first[index]
      spread[index] = (1 - share) * (spread[index] + share * difference * difference) + share * added[index]
    }
    kernels.writeKey(spread, to: slot, of: variances)
  }
}

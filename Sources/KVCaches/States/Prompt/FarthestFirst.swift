package import Kernels

/// Greedy k-center: the first key, then time and again the one that is farthest from all chosen so far.
///
/// Its radius is at most twice the smallest that so many centers can have (Gonzalez, "Clustering to minimize the
/// maximum intercluster distance", 1985). Of keys equally far the first is chosen. Costs one pass over the keys a
/// center.
package struct FarthestFirst {
  /// The keys chosen, in the order of their choice.
  private(set) var centers: [Int] = []
  /// The index in `centers` of the center nearest to each key, of equally near ones the first; -1 for a key with a
  /// number that is not finite, which is neither chosen nor near to anything. `[key]`
  private(set) var nearest: [Int32]
  /// The largest distance of a key to its center.
  package private(set) var radius: Float = 0

  /// Chooses at most `limit` centers among float32 keys; fewer where every key equals one of them.
  package init(_ keys: SlotStorage, count: Int, limit: Int, _ kernels: InstructionSet) {
    nearest = [Int32](repeating: -1, count: count)
    guard count > 0, limit > 0 else { return }
    let (point, distances) = (Buffer<Float>(count: keys.headDim), Buffer<Float>(count: count))
    // The squared distance of each key to its center so far.
    let smallest = Buffer<Float>(count: count)
    var next = -1
    for key in 0..<count {
      kernels.readKey(key, of: keys, to: point.pointer)
      let isFinite = point.elements.allSatisfy(\.isFinite)
      smallest.pointer[key] = isFinite ? .infinity : -.infinity
      if isFinite, next < 0 { next = key }
    }
    // Something is kept even where nothing is finite.
    if next < 0 { centers = [0] }
    while next >= 0, centers.count < limit {
      kernels.readKey(next, of: keys, to: point.pointer)
      kernels.distances(of: point.pointer, to: keys, slots: count, out: distances.pointer)
      let center = Int32(centers.count)
      centers.append(next)
      (next, radius) = (-1, 0)
      for key in 0..<count {
        if distances.pointer[key] < smallest.pointer[key] {
          smallest.pointer[key] = distances.pointer[key]
          nearest[key] = center
        }
        if smallest.pointer[key] > radius { (next, radius) = (key, smallest.pointer[key]) }
      }
    }
    radius = radius.squareRoot()
  }
}

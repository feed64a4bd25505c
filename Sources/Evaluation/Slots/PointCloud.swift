import KVCaches
import Kernels

/// How the keys, or the values, of one KV head lie, in their own units.
package struct PointCloud: Sendable, Hashable {
  /// The smallest radius found for so many clusters as were asked for, by greedy k-center.
  package var radius = 0.0
  /// The mean length.
  package var norm = 0.0
  /// The root of the mean squared distance from the mean.
  package var spread = 0.0
  /// Clusters that SubGen's Algorithm 1 makes of them in their order, each of what is within a distance of its first point;
  /// nil where no distance was given.
  package var clusters: Int?

  /// The radius where the spread is 1, which compares clouds of different size.
  package var relativeRadius: Double { spread > 0 ? radius / spread : 0 }

  package init(radius: Double = 0, norm: Double = 0, spread: Double = 0, clusters: Int? = nil) {
    (self.radius, self.norm, self.spread, self.clusters) = (radius, norm, spread, clusters)
  }

  /// - Parameter points: the first `count` keys of float32 slots, `scale` times what they are.
  init(_ points: SlotStorage, count: Int, scale: Float = 1, centers: Int, _ kernels: InstructionSet) {
    let (dim, unit) = (points.headDim, 1 / Double(scale))
    radius = Double(FarthestFirst(points, count: count, limit: centers, kernels).radius) * unit
    let point = Buffer<Float>(count: dim)
    var (squares, mean) = (0.0, [Double](repeating: 0, count: dim))
    for slot in 0..<count {
      kernels.readKey(slot, of: points, to: point.pointer)
      var square = 0.0
      for index in 0..<dim {
        square += Double(point[index]) * Double(point[index])
        mean[index] += Double(point[index]) / Double(count)
      }
      norm += square.squareRoot() * unit / Double(count)
      squares += square / Double(count)
    }
    spread = max(0, squares - mean.reduce(0) { $0 + $1 * $1 }).squareRoot() * unit
  }

  /// Clusters of what is within a distance of the first point of each; a point joins one if there is any.
  ///
  /// - Parameter delta: as `points` are scaled.
  static func clusters(
    _ points: SlotStorage, count: Int, within delta: Double, _ kernels: InstructionSet
  ) -> Int {
    let dim = points.headDim
    let (point, distances) = (Buffer<Float>(count: dim), Buffer<Float>(count: count))
    let memory = Buffer<UInt8>(count: SlotStorage.keyBytes(type: .float32, headDim: dim, slots: count))
    let firsts = SlotStorage(
      type: .float32, headDim: dim, slots: count, keys: memory.pointer, values: memory.pointer)
    var used = 0
    for slot in 0..<count {
      kernels.readKey(slot, of: points, to: point.pointer)
      kernels.distances(of: point.pointer, to: firsts, slots: used, out: distances.pointer)
      let nearest = kernels.firstSmallest(distances.pointer, count: used)
      if used > 0, Double(distances[nearest]).squareRoot() <= delta { continue }
      kernels.writeKey(point.pointer, to: used, of: firsts)
      used += 1
    }
    return used
  }
}

import CLibrary
import Kernels

/// Clusters of the keys of one KV head with samples of each: the denominator of attention, estimated.
///
/// A cluster is a representative, its first key; how many keys came nearest to it, within distance δ; and t of them, each an
/// independent uniform choice. Then Σ over clusters of n / t × Σ e^⟨q,k⟩ over the samples has the expected value Σ e^⟨q,k⟩
/// over all keys.
///
/// Source: UpdateSoftmaxNormalizer of SubGen, arXiv 2402.06082, Algorithm 1. What it does not say: at most `limit` clusters
/// are kept. With a δ that was given, a key that would be one more joins the nearest and δ grows to its distance. Without,
/// δ begins at 0 and grows by at least a tenth whenever room is needed, and representatives within δ of each other merge
/// (Charikar et al., STOC 1997); the samples of merged clusters are drawn from both in proportion to their counts. Keys of
/// clusters that have merged are then up to 11 δ from the representative, δ (1 + 1 / 1.1 + 1 / 1.1² …), so what the theorem
/// says of the denominator's variance holds with that distance and not with δ.
///
/// A view of one head's part of larger buffers; `SubGenSummary` owns them.
struct NormalizerClusters {
  /// The most clusters.
  let limit: Int
  /// t
  let samplesPerCluster: Int
  let growsDelta: Bool
  /// Keys alone, `[cluster]`.
  let representatives: SlotStorage
  /// Keys alone, `[cluster, sample]`.
  let samples: SlotStorage
  /// Keys of each cluster, `[cluster]`.
  let counts: UnsafeMutablePointer<Double>
  /// log(n / t), `[cluster, sample]`.
  let logWeights: UnsafeMutablePointer<Float>
  let delta: UnsafeMutablePointer<Double>
  let usedCount: UnsafeMutablePointer<Int32>

  /// Clusters in use: the first ones.
  var used: Int { Int(usedCount.pointee) }

  /// Floats that `add` wants.
  static func scratchFloats(limit: Int, headDim: Int) -> Int { limit + 18 * headDim }

  /// Takes a key in.
  ///
  /// - Parameter scratch: `scratchFloats(limit:headDim:)` floats.
  func add(
    key: UnsafePointer<Float>, scratch: UnsafeMutablePointer<Float>, using random: inout SeededRandom,
    _ kernels: InstructionSet
  ) {
    // The key as a slot would give it back.
    let (stored, panel) = (scratch + limit + samples.headDim, scratch + limit + 2 * samples.headDim)
    let single = SlotStorage(type: samples.type, headDim: samples.headDim, slots: 1, keys: panel, values: panel)
    kernels.writeKey(key, to: 0, of: single)
    kernels.readKey(0, of: single, to: stored)
    var place = self.place(of: stored, scratch, kernels)
    if growsDelta && used == limit && !place.isNear {
      makeRoom(scratch, using: &random, kernels)
      place = self.place(of: stored, scratch, kernels)
    }
    if place.isNear || used == limit {
      if !place.isNear { delta.pointee = place.distance }
      let count = counts[place.cluster] + 1
      setCount(count, of: place.cluster)
      random.choose(random.binomial(samplesPerCluster, 1 / count), of: samplesPerCluster) { sample in
        kernels.writeKey(key, to: place.cluster * samplesPerCluster + sample, of: samples)
      }
    } else {
      let cluster = used
      usedCount.pointee += 1
      kernels.writeKey(key, to: cluster, of: representatives)
      for sample in 0..<samplesPerCluster {
        kernels.writeKey(key, to: cluster * samplesPerCluster + sample, of: samples)
      }
      setCount(1, of: cluster)
    }
  }

  /// The nearest cluster and whether it is within δ.
  private func place(
    of key: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> (cluster: Int, distance: Double, isNear: Bool) {
    guard used > 0 else { return (0, .infinity, false) }
    kernels.distances(of: key, to: representatives, slots: used, out: scratch)
    let cluster = kernels.firstSmallest(scratch, count: used)
    let distance = Double(scratch[cluster]).squareRoot()
    return (cluster, distance, distance <= delta.pointee)
  }

  /// Lets δ grow and merges representatives, in order, with the nearest one that stays.
  private func makeRoom(
    _ scratch: UnsafeMutablePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    let (distances, key) = (scratch, scratch + limit)
    var smallest = Double.infinity
    for cluster in 1..<max(used, 1) {
      kernels.readKey(cluster, of: representatives, to: key)
      kernels.distances(of: key, to: representatives, slots: cluster, out: distances)
      let nearest = kernels.firstSmallest(distances, count: cluster)
      smallest = min(smallest, Double(distances[nearest]).squareRoot())
    }
    delta.pointee = 1.1 * max(delta.pointee, smallest)
    let before = used
    usedCount.pointee = 0
    for cluster in 0..<before {
      kernels.readKey(cluster, of: representatives, to: key)
      let place = self.place(of: key, distances, kernels)
      if place.isNear {
        merge(cluster, into: place.cluster, key, using: &random, kernels)
      } else {
        move(cluster, to: used, key, kernels)
        usedCount.pointee += 1
      }
    }
  }

  /// - Parameter key: room for one key.
  private func merge(
    _ other: Int, into cluster: Int, _ key: UnsafeMutablePointer<Float>, using random: inout SeededRandom,
    _ kernels: InstructionSet
  ) {
    let total = counts[cluster] + counts[other]
    for sample in 0..<samplesPerCluster where random.uniform() * total < counts[other] {
      kernels.readKey(other * samplesPerCluster + sample, of: samples, to: key)
      kernels.writeKey(key, to: cluster * samplesPerCluster + sample, of: samples)
    }
    setCount(total, of: cluster)
  }

  /// - Parameter key: the representative, and then room for one key.
  private func move(_ cluster: Int, to target: Int, _ key: UnsafeMutablePointer<Float>, _ kernels: InstructionSet) {
    guard cluster != target else { return }
    kernels.writeKey(key, to: target, of: representatives)
    for sample in 0..<samplesPerCluster {
      kernels.readKey(cluster * samplesPerCluster + sample, of: samples, to: key)
      kernels.writeKey(key, to: target * samplesPerCluster + sample, of: samples)
    }
    setCount(counts[cluster], of: target)
  }

  func setCount(_ count: Double, of cluster: Int) {
    counts[cluster] = count
    let weight = Float(log(count / Double(samplesPerCluster)))
    (logWeights + cluster * samplesPerCluster).update(repeating: weight, count: samplesPerCluster)
  }

  /// Checks what a snapshot claims, and computes what follows from it.
  ///
  /// - Throws: `KVCacheError` for more clusters than there may be, a count that is no count, or an impossible δ.
  func validate() throws(KVCacheError) {
    guard (0...limit).contains(used), delta.pointee >= 0 else {
      throw .badSnapshot("\(used) clusters of \(limit), within \(delta.pointee)")
    }
    for cluster in 0..<used {
      let count = counts[cluster]
      guard count >= 1, count.isFinite else { throw .badSnapshot("a cluster of \(count) tokens") }
      setCount(count, of: cluster)
    }
  }
}

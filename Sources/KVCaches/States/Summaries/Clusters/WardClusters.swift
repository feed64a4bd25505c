import CLibrary
import Kernels

/// Weighted clusters of the keys of one KV head: each a centroid key, a mean value and a count of tokens.
///
/// A new token joins the cluster, or the two cheapest clusters merge to make room, whichever adds less to the squared error
/// within clusters. That growth is Ward's cost, w_a w_b / (w_a + w_b) × |c_a − c_b|². For every cluster the nearest other
/// one is known, so that the cheapest pair is one search. Two passes over the keys serve a typical token.
///
/// Where tokens are to be forgotten, what a new token counts grows from each to the next, and everything is divided by it in
/// attention: the same as letting all counts decay, without touching them.
///
/// All decisions are made on keys as they are stored, so they follow from the slots alone. Slots narrower
/// than float32 would hold a heavy mean where it is, which `NarrowMeans` prevents.
///
/// A view of one head's part of larger buffers; `WardSummary` owns them.
struct WardClusters {
  /// The most clusters.
  let capacity: Int
  /// Centroid keys and mean values.
  let slots: SlotStorage
  /// How means stand in the slots; nil where those are float32.
  let narrowMeans: NarrowMeans?
  /// Tokens of each cluster in terms of `unit`, `[slot]`.
  let counts: UnsafeMutablePointer<Double>
  /// The same for kernels, `[slot]`.
  let weights: UnsafeMutablePointer<Float>
  /// `[slot]`, what attention adds to the logits.
  let logCounts: UnsafeMutablePointer<Float>
  /// The cost of merging with the nearest other cluster, `[slot]`; where that one has changed since, a bound from below.
  let costs: UnsafeMutablePointer<Float>
  /// The nearest other cluster, the first of several, `[slot]`; its complement where `costs` is only a bound.
  let nearest: UnsafeMutablePointer<Int32>
  let usedCount: UnsafeMutablePointer<Int32>
  /// What a token that comes now counts.
  let unit: UnsafeMutablePointer<Double>
  /// How much more the next one counts. Float64: with a half-life of 2^23 tokens it is a step of float32 above 1.
  let growth: Double

  /// Units beyond this are taken back, everything being multiplied with a power of two.
  private static var largestUnit: Double { 0x1p20 }

  /// Clusters in use: the first slots.
  var used: Int { Int(usedCount.pointee) }

  static func scratchFloats(capacity: Int, headDim: Int) -> Int { 2 * capacity + 19 * headDim }

  /// What one `add` needs of its thread's scratch.
  struct Scratch {
    /// The new token's costs, `[slot]`.
    let newcomer: UnsafeMutablePointer<Float>
    /// Costs of a cluster that has changed, `[slot]`.
    let changed: UnsafeMutablePointer<Float>
    /// `[headDim]`
    let first: UnsafeMutablePointer<Float>
    /// `[headDim]`
    let second: UnsafeMutablePointer<Float>
    /// A row as its slot gives it back, `[headDim]`.
    let stored: UnsafeMutablePointer<Float>
    /// One panel of keys of any type.
    let panel: UnsafeMutablePointer<Float>

    init(_ start: UnsafeMutablePointer<Float>, capacity: Int, headDim: Int) {
      newcomer = start
      changed = newcomer + capacity
      first = changed + capacity
      second = first + headDim
      stored = second + headDim
      panel = stored + headDim
    }
  }

  /// Takes a token in; one whose key or value is not of finite length is left out.
  ///
  /// - Parameter scratch: `scratchFloats(capacity:headDim:)` floats.
  func add(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard squaredLength(key, slots.headDim).isFinite, squaredLength(value, slots.headDim).isFinite else { return }
    let scratch = Scratch(scratch, capacity: capacity, headDim: slots.headDim)
    defer { grow() }
    guard used == capacity else {
      let slot = used
      usedCount.pointee += 1
      put(key: key, value: value, count: unit.pointee, in: slot, scratch, kernels)
      connect(slot, scratch, kernels)
      return
    }
    // The key as a slot would give it back.
    let single = SlotStorage(
      type: slots.type, headDim: slots.headDim, slots: 1, keys: scratch.panel, values: scratch.panel)
    kernels.writeKey(key, to: 0, of: single)
    kernels.readKey(0, of: single, to: scratch.first)
    kernels.distances(
      of: scratch.first, weight: Float(unit.pointee), to: slots, slots: used, weights: weights, out: scratch.newcomer)
    let target = kernels.firstSmallest(scratch.newcomer, count: used)
    if let slot = cheapestMerge(below: scratch.newcomer[target], scratch, kernels) {
      merge(slot, with: Int(nearest[slot]), admitting: key, value, scratch, kernels)
    } else {
      absorb(key, value, into: target, scratch, kernels)
    }
  }

  /// Lets the next token count more.
  private func grow() {
    unit.pointee *= growth
    guard unit.pointee >= Self.largestUnit else { return }
    unit.pointee /= Self.largestUnit
    for slot in 0..<used {
      setCount(max(counts[slot] / Self.largestUnit, 1e-30), of: slot)
      costs[slot] /= Float(Self.largestUnit)
    }
  }

  /// Makes every `costs` and `nearest` exact. Nothing needs that; a test compares them.
  func settleAll(scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet) {
    let scratch = Scratch(scratch, capacity: capacity, headDim: slots.headDim)
    for slot in 0..<used where nearest[slot] < 0 { settle(slot, scratch, kernels) }
  }

  /// The first of the cheapest clusters to merge with its nearest, where that costs less than `limit`.
  private func cheapestMerge(below limit: Float, _ scratch: Scratch, _ kernels: InstructionSet) -> Int? {
    while true {
      let slot = kernels.firstSmallest(costs, count: used)
      guard costs[slot] < limit else { return nil }
      if nearest[slot] >= 0 { return slot }
      settle(slot, scratch, kernels)
    }
  }

  private func absorb(
    _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>, into slot: Int, _ scratch: Scratch,
    _ kernels: InstructionSet
  ) {
    let count = counts[slot] + unit.pointee
    let share = Float(unit.pointee / count)
    read(slot, .key, to: scratch.first, kernels)
    read(slot, .value, to: scratch.second, kernels)
    for index in 0..<slots.headDim {
      scratch.first[index] += (key[index] - scratch.first[index]) * share
      scratch.second[index] += (value[index] - scratch.second[index]) * share
    }
    write(scratch.first, .key, to: slot, scratch, kernels)
    write(scratch.second, .value, to: slot, scratch, kernels)
    setCount(count, of: slot)
    connect(slot, scratch, kernels)
  }

  /// Merges two clusters into the slot of the first; the new token, whose costs are known, takes that of the second.
  private func merge(
    _ slot: Int, with other: Int, admitting key: UnsafePointer<Float>, _ value: UnsafePointer<Float>,
    _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    let count = counts[slot] + counts[other]
    let share = Float(counts[other] / count)
    mix(slot, with: other, .key, share, scratch, kernels)
    mix(slot, with: other, .value, share, scratch, kernels)
    setCount(count, of: slot)
    put(key: key, value: value, count: unit.pointee, in: other, scratch, kernels)
    costs[other] = .infinity
    connect(slot, scratch, kernels)
    scratch.newcomer[slot] = scratch.changed[other]
    connect(other, costs: scratch.newcomer, kernels)
  }

  private func mix(
    _ slot: Int, with other: Int, _ row: NarrowMeans.Row, _ share: Float, _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    read(slot, row, to: scratch.first, kernels)
    read(other, row, to: scratch.second, kernels)
    for index in 0..<slots.headDim { scratch.first[index] += (scratch.second[index] - scratch.first[index]) * share }
    write(scratch.first, row, to: slot, scratch, kernels)
  }

  /// Gives a slot to a token, which is rounded as slots round: its costs were computed so.
  private func put(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, count: Double, in slot: Int, _ scratch: Scratch,
    _ kernels: InstructionSet
  ) {
    kernels.writeKey(key, to: slot, of: slots)
    kernels.writeValue(value, to: slot, of: slots)
    keepRest(of: key, .key, slot, scratch, kernels)
    keepRest(of: value, .value, slot, scratch, kernels)
    setCount(count, of: slot)
  }

  private func setCount(_ count: Double, of slot: Int) {
    counts[slot] = count
    weights[slot] = Float(count)
    logCounts[slot] = logf(weights[slot])
  }

  /// Sets what is nearest to a cluster that has changed, and lets the others know.
  private func connect(_ slot: Int, _ scratch: Scratch, _ kernels: InstructionSet) {
    measure(slot, scratch, kernels)
    connect(slot, costs: scratch.changed, kernels)
  }

  private func connect(_ slot: Int, costs new: UnsafeMutablePointer<Float>, _ kernels: InstructionSet) {
    new[slot] = .infinity
    // All others are at least as far as a nearest cluster was before it moved.
    kernels.updateNearest(to: slot, distances: new, count: used, smallest: costs, nearest: nearest)
    let first = kernels.firstSmallest(new, count: used)
    costs[slot] = new[first]
    nearest[slot] = Int32(first)
  }

  /// Makes `costs` and `nearest` of one cluster exact.
  private func settle(_ slot: Int, _ scratch: Scratch, _ kernels: InstructionSet) {
    measure(slot, scratch, kernels)
    scratch.changed[slot] = .infinity
    let first = kernels.firstSmallest(scratch.changed, count: used)
    costs[slot] = scratch.changed[first]
    nearest[slot] = Int32(first)
  }

  /// Writes the costs of merging a cluster with each other one to `scratch.changed`.
  private func measure(_ slot: Int, _ scratch: Scratch, _ kernels: InstructionSet) {
    kernels.readKey(slot, of: slots, to: scratch.first)
    kernels.distances(
      of: scratch.first, weight: weights[slot], to: slots, slots: used, weights: weights, out: scratch.changed)
  }
}

// Means in slots.
extension WardClusters {
  private func read(
    _ slot: Int, _ row: NarrowMeans.Row, to mean: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    readSlot(slot, row, to: mean, kernels)
    narrowMeans?.add(slot, row, to: mean)
  }

  private func write(
    _ mean: UnsafePointer<Float>, _ row: NarrowMeans.Row, to slot: Int, _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    var rounded = mean
    if let narrowMeans, narrowMeans.rests == nil {
      narrowMeans.dither(mean, to: scratch.stored)
      rounded = UnsafePointer(scratch.stored)
    }
    switch row {
    case .key: kernels.writeKey(rounded, to: slot, of: slots)
    case .value: kernels.writeValue(rounded, to: slot, of: slots)
    }
    keepRest(of: mean, row, slot, scratch, kernels)
  }

  private func keepRest(
    of mean: UnsafePointer<Float>, _ row: NarrowMeans.Row, _ slot: Int, _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    guard let narrowMeans, narrowMeans.rests != nil else { return }
    readSlot(slot, row, to: scratch.stored, kernels)
    narrowMeans.keep(slot, row, of: mean, beside: scratch.stored)
  }

  private func readSlot(
    _ slot: Int, _ row: NarrowMeans.Row, to out: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    switch row {
    case .key: kernels.readKey(slot, of: slots, to: out)
    case .value: kernels.readValue(slot, of: slots, to: out)
    }
  }
}

/// The sum of squares of a vector; not finite where a number of it is not.
func squaredLength(_ vector: UnsafePointer<Float>, _ count: Int) -> Float {
  var sum: Float = 0
  for index in 0..<count { sum += vector[index] * vector[index] }
  return sum
}

extension WardClusters {
  /// Checks what a snapshot claims, and computes what follows from it.
  ///
  /// - Throws: `KVCacheError` for a count that is no count, a cost that is not a number, a nearest cluster that is none, or
  ///   impossible rests.
  func validate() throws(KVCacheError) {
    guard (1..<Self.largestUnit).contains(unit.pointee) else { throw .badSnapshot("a token of \(unit.pointee)") }
    for slot in 0..<used {
      guard counts[slot] > 0, counts[slot].isFinite else {
        throw .badSnapshot("a cluster of \(counts[slot]) tokens")
      }
      let neighbour = nearest[slot] < 0 ? ~nearest[slot] : nearest[slot]
      let isAlone = costs[slot] == .infinity
      guard costs[slot] >= 0, neighbour < used, isAlone || neighbour != slot else {
        throw .badSnapshot("a cluster whose nearest is \(neighbour) at a cost of \(costs[slot])")
      }
      setCount(counts[slot], of: slot)
    }
    try narrowMeans?.validate(slots: used)
  }
}

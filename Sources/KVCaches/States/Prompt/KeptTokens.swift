import Kernels

/// What a head keeps of the tokens it holds.
struct KeptTokens: Equatable {
  /// Slots, counted from the head's oldest token, ascending.
  var slots: [Int]
  /// The index in `slots` of what stands for each token held, -1 for nothing; empty where tokens stand for themselves
  /// only.
  var representatives: [Int32] = []
  /// The largest distance of a key to that of the token that stands for it.
  var radius: Float = 0
}

extension KeptTokens {
  /// All of so many tokens.
  static func all(_ count: Int) -> KeptTokens {
    KeptTokens(slots: Array(0..<count), representatives: (0..<Int32(count)).map { $0 })
  }

  /// The first `sinks` tokens, those chosen of the ones between, given by their slots, and the last `window` ones.
  init(chosen: [Int], sinks: Int, window: Int, of count: Int) {
    slots = Array(0..<sinks) + chosen + Array(count - window..<count)
  }

  /// The first `sinks` tokens, the centers of those between, and the last `window` ones.
  init(_ clusters: FarthestFirst, sinks: Int, window: Int, of count: Int) {
    let order = clusters.centers.indices.sorted { clusters.centers[$0] < clusters.centers[$1] }
    self.init(chosen: order.map { clusters.centers[$0] + sinks }, sinks: sinks, window: window, of: count)
    var place = [Int32](repeating: 0, count: order.count)
    for (index, center) in order.enumerated() { place[center] = Int32(sinks + index) }
    representatives =
      (0..<Int32(sinks)) + clusters.nearest.map { $0 < 0 ? -1 : place[Int($0)] }
      + (Int32(slots.count - window)..<Int32(slots.count))
    radius = clusters.radius
  }
}

/// A choice without regard to what tokens say: the baseline of every other.
enum RandomChoice {
  /// Chooses `wanted` of `count` places, each set as likely as any other, ascending (Knuth, TAOCP 3.4.2, algorithm S).
  ///
  /// The same for the same seed, whatever else is chosen.
  static func choose(_ wanted: Int, of count: Int, seed: UInt64) -> [Int] {
    var random = SplitMix64(seed: seed)
    var chosen: [Int] = []
    for place in 0..<count where chosen.count < wanted {
      let draw = random.next().multipliedFullWidth(by: UInt64(count - place)).high
      if draw < UInt64(wanted - chosen.count) { chosen.append(place) }
    }
    return chosen
  }
}

/// Which pairs of tokens merge: from the pair to its rank (the lower goes first) and the token that it becomes.
///
/// Open addressing with 16-byte places: key, then rank and result, so that a look-up touches one cache line.
struct MergeTable: Sendable {
  static let noRank = UInt32.max

  private var places: [UInt64]
  private var mask: Int

  /// Drawn anew for each table, so that no file can be written to make its merges collide.
  private let seed = UInt64.random(in: .min ... .max)

  private(set) var count = 0

  /// Room for `count` merges; it grows where more come.
  init(capacity count: Int) {
    var capacity = 16
    while !Self.fits(count, capacity) { capacity *= 2 }
    places = [UInt64](repeating: 0, count: capacity * 2)
    mask = capacity - 1
  }

  /// At most three of five places are taken: fewer would cost more misses of the CPU's caches than they spare probes.
  @inline(__always)
  private static func fits(_ count: Int, _ capacity: Int) -> Bool { count * 5 <= capacity * 3 }

  /// No pair of ids is zero in this form, so zero marks a free place.
  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    (UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))) &+ 1
  }

  @inline(__always)
  private func place(_ key: UInt64) -> Int {
    let product = (key ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return Int(truncatingIfNeeded: product.high ^ product.low) & mask
  }

  /// Adds a merge; the one that came first stays where the pair is there already.
  mutating func insert(left: Int32, right: Int32, rank: UInt32, result: Int32) {
    if !Self.fits(count + 1, mask + 1) { grow() }
    let key = Self.key(left, right)
    var place = self.place(key)
    while places[place * 2] != 0 {
      if places[place * 2] == key { return }
      place = (place + 1) & mask
    }
    places[place * 2] = key
    places[place * 2 + 1] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result))
    count += 1
  }

  struct Entry {
    var left: Int32
    var right: Int32
    var rank: UInt32
    var result: Int32
  }

  /// Adds merges in this order; their places are all read before any is needed (see `PieceTable.find`).
  mutating func insert(_ entries: [Entry]) {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: entries.count) { first in
      for (index, entry) in entries.enumerated() { first[index] = places[place(Self.key(entry.left, entry.right)) * 2] }
      for (index, entry) in entries.enumerated() where first[index] != Self.key(entry.left, entry.right) {
        insert(left: entry.left, right: entry.right, rank: entry.rank, result: entry.result)
      }
    }
  }

  /// Gives a pair that is there another rank.
  mutating func replaceRank(_ left: Int32, _ right: Int32, with rank: UInt32) {
    let key = Self.key(left, right)
    var place = self.place(key)
    while places[place * 2] != key {
      precondition(places[place * 2] != 0, "the pair is not in the table")
      place = (place + 1) & mask
    }
    places[place * 2 + 1] = UInt64(rank) << 32 | places[place * 2 + 1] & 0xFFFF_FFFF
  }

  private mutating func grow() {
    let old = places
    places = [UInt64](repeating: 0, count: old.count * 2)
    mask = mask * 2 + 1
    for index in stride(from: 0, to: old.count, by: 2) where old[index] != 0 {
      var place = self.place(old[index])
      while places[place * 2] != 0 { place = (place + 1) & mask }
      places[place * 2] = old[index]
      places[place * 2 + 1] = old[index + 1]
    }
  }

  /// The rank and result of a pair; `noRank` where it does not merge.
  @inline(__always)
  func find(_ left: Int32, _ right: Int32) -> (rank: UInt32, result: Int32) {
    let key = Self.key(left, right)
    var place = self.place(key)
    return places.withUnsafeBufferPointer { places in
      while true {
        let found = places[place * 2]
        if found == key {
          let value = places[place * 2 + 1]
          return (UInt32(truncatingIfNeeded: value >> 32), Int32(truncatingIfNeeded: value))
        }
        if found == 0 { return (Self.noRank, 0) }
        place = (place + 1) & mask
      }
    }
  }
}

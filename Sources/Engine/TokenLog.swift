/// The ids a sequence has seen, newest last, of which the oldest are forgotten beyond a limit.
///
/// At four bytes a token the log of a million tokens is small beside any cache, but an endless stream must not grow
/// even by that.
package struct TokenLog: Sendable {
  /// The most ids that are kept.
  package let limit: Int
  /// Ids of the sequence.
  package private(set) var total = 0
  /// Ids that are kept.
  package private(set) var count = 0
  private var ring: [Int32] = []

  package init(limit: Int = 1 << 20) {
    precondition(limit > 0)
    self.limit = limit
  }

  /// A log of `total` ids, of which only the newest are known.
  package init(limit: Int, total: Int, newest: [Int32]) {
    self.init(limit: limit)
    let kept = newest.suffix(limit)
    precondition(kept.count <= total)
    ring = [Int32](repeating: 0, count: min(limit, total))
    self.total = total - kept.count
    for id in kept { append(id) }
    count = kept.count
  }

  package mutating func append(_ token: Int32) {
    let place = total % limit
    if place < ring.count { ring[place] = token } else { ring.append(token) }
    total += 1
    count = min(count + 1, limit)
  }

  /// Forgets the newest ids.
  ///
  /// - Precondition: so many are kept.
  package mutating func removeLast(_ ids: Int) {
    precondition(ids >= 0 && ids <= count)
    total -= ids
    count -= ids
  }

  /// The id `distance` places before the newest.
  ///
  /// - Precondition: `distance` is from 0 to `count - 1`.
  package subscript(back distance: Int) -> Int32 {
    precondition(distance >= 0 && distance < count)
    return ring[(total - 1 - distance) % limit]
  }
}

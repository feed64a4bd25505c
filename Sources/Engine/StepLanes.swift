/// The batches of a step that take turns, and whose rows are in which.
struct StepLanes {
  private let capacity: Int
  private var all: [Batch] = []
  /// Batches with rows: the first ones of `all`.
  private(set) var count = 0
  /// The lane of each share.
  private var places: [Int] = []

  /// - Parameter rows: the most rows of a batch
  init(rows: Int) { capacity = rows }

  var batches: ArraySlice<Batch> { all[..<count] }
  var rows: Int { batches.reduce(0) { $0 + $1.count } }

  /// Puts each share where the fewest rows are, so that lanes wait for each other as little as can be.
  ///
  /// - Parameter count: the most lanes
  mutating func fill(with shares: [Turns.Share], count lanes: Int) {
    while all.count < lanes { all.append(Batch(capacity: capacity)) }
    count = min(lanes, shares.count)
    for share in shares {
      var lane = 0
      for other in 1..<max(1, count) where all[other].count < all[lane].count { lane = other }
      share.sequence.withTokens(of: share.chunk) {
        all[lane].append($0, memory: share.sequence.memory, logitRows: share.chunk.logitRows)
      }
      places.append(lane)
    }
  }

  /// Lets go of all rows and of the memories they belong to.
  mutating func clear() {
    for batch in all { batch.removeAll() }
    places.removeAll(keepingCapacity: true)
    count = 0
  }

  func firstShare(of lane: Int) -> Int { share(from: 0, lane) }

  /// The next share of the same lane; the number of shares behind the last one.
  func share(after index: Int) -> Int { share(from: index + 1, places[index]) }

  private func share(from first: Int, _ lane: Int) -> Int {
    var index = first
    while index < places.count, places[index] != lane { index += 1 }
    return index
  }
}

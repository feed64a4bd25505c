/// Merges the symbols of one word, best pair first, leftmost among equals; keeps its memory between words.
///
/// Short words are searched for the best pair before every merge (n² with a tiny constant), long ones keep their pairs
/// in a heap (n log n), so that a word of a megabyte takes a second, not a week.
struct PairMerging {
  private static let longestScanned = 40

  /// The symbols of the word at hand; set them, call `merge`, read them.
  var symbols: [Int32] = []

  private var ranks: [UInt32] = []
  private var results: [Int32] = []
  private var next: [Int32] = []
  private var previous: [Int32] = []
  private var heap: [UInt64] = []

  #if DEBUG
    /// Pairs looked up and places of the heap compared by this value, for tests of how the work grows.
    private(set) var lookUps = 0
    private(set) var heapSteps = 0
  #endif

  mutating func merge(with table: MergeTable) {
    if symbols.count < 2 { return }
    #if DEBUG
      if symbols.count <= Self.longestScanned { lookUps += 3 * symbols.count - 3 }
    #endif
    if symbols.count <= Self.longestScanned { mergeByScanning(table) } else { mergeByHeap(table) }
  }

  private mutating func mergeByScanning(_ table: MergeTable) {
    var count = symbols.count
    if ranks.count < Self.longestScanned {
      ranks = [UInt32](repeating: MergeTable.noRank, count: Self.longestScanned)
      results = [Int32](repeating: 0, count: Self.longestScanned)
    }
    symbols.withUnsafeMutableBufferPointer { symbols in
      ranks.withUnsafeMutableBufferPointer { ranks in
        results.withUnsafeMutableBufferPointer { results in
          for index in 0..<count - 1 {
            (ranks[index], results[index]) = table.find(symbols[index], symbols[index + 1])
          }
          while count > 1 {
            var best = MergeTable.noRank
            var place = 0
            for index in 0..<count - 1 where ranks[index] < best {
              best = ranks[index]
              place = index
            }
            if best == MergeTable.noRank { break }
            symbols[place] = results[place]
            count -= 1
            var index = place + 1
            while index < count {
              symbols[index] = symbols[index + 1]
              ranks[index - 1] = ranks[index]
              results[index - 1] = results[index]
              index += 1
            }
            if place > 0 {
              (ranks[place - 1], results[place - 1]) = table.find(symbols[place - 1], symbols[place])
            }
            if place < count - 1 {
              (ranks[place], results[place]) = table.find(symbols[place], symbols[place + 1])
            }
          }
        }
      }
    }
    symbols.removeSubrange(count...)
  }

  private mutating func mergeByHeap(_ table: MergeTable) {
    let count = symbols.count
    ranks = [UInt32](repeating: MergeTable.noRank, count: count)
    results = [Int32](repeating: 0, count: count)
    next = (1...Int32(count)).map { $0 }
    previous = (-1..<Int32(count) - 1).map { $0 }
    heap.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 { update(index, table) }
    while let entry = popHeap() {
      let place = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
      // An entry of a pair that has changed since is void.
      guard ranks[place] == UInt32(truncatingIfNeeded: entry >> 32) else { continue }
      let right = Int(next[place])
      symbols[place] = results[place]
      ranks[right] = MergeTable.noRank
      symbols[right] = -1
      next[place] = next[right]
      if Int(next[place]) < count { previous[Int(next[place])] = Int32(place) }
      update(place, table)
      if previous[place] >= 0 { update(Int(previous[place]), table) }
    }
    symbols.removeAll { $0 < 0 }
    // A word of a megabyte must not pin its memory.
    if count > 1 << 16 { (ranks, results, next, previous, heap) = ([], [], [], [], []) }
  }

  /// Looks up the pair that starts at a place and queues it where it merges.
  private mutating func update(_ place: Int, _ table: MergeTable) {
    let right = Int(next[place])
    guard right < symbols.count else {
      ranks[place] = MergeTable.noRank
      return
    }
    #if DEBUG
      lookUps += 1
    #endif
    let (rank, result) = table.find(symbols[place], symbols[right])
    ranks[place] = rank
    results[place] = result
    if rank != MergeTable.noRank { pushHeap(UInt64(rank) << 32 | UInt64(place)) }
  }

  private mutating func pushHeap(_ entry: UInt64) {
    heap.append(entry)
    var index = heap.count - 1
    while index > 0, heap[(index - 1) / 2] > heap[index] {
      #if DEBUG
        heapSteps += 1
      #endif
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  private mutating func popHeap() -> UInt64? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return first }
    heap[0] = last
    var index = 0
    while true {
      #if DEBUG
        heapSteps += 1
      #endif
      var child = index * 2 + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if heap[index] <= heap[child] { break }
      heap.swapAt(index, child)
      index = child
    }
    return first
  }
}

/// The largest of the entries that pass by, in memory for those alone.
struct LargestEntries {
  private let capacity: Int
  /// The largest first; of two that are alike the one that came first.
  private(set) var entries: [(position: Int, value: Double)] = []

  init(capacity: Int) {
    precondition(capacity > 0, "entries are kept")
    self.capacity = capacity
  }

  mutating func insert(_ value: Double, at position: Int) {
    let size = abs(value)
    if entries.count == capacity {
      guard size > abs(entries[capacity - 1].value) else { return }
      entries.removeLast()
    }
    var place = entries.count
    while place > 0, abs(entries[place - 1].value) < size { place -= 1 }
    entries.insert((position, value), at: place)
  }
}

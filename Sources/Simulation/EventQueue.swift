/// What happens when, earliest first; of what happens at the same time, what was entered first.
struct EventQueue<Event> {
  private struct Entry {
    let time: Double
    let number: Int
    let event: Event

    func precedes(_ other: Entry) -> Bool { time < other.time || (time == other.time && number < other.number) }
  }

  /// A binary heap.
  private var entries: [Entry] = []
  private var number = 0

  var nextTime: Double? { entries.first?.time }

  mutating func add(_ event: Event, at time: Double) {
    precondition(time.isFinite, "events have a time")
    entries.append(Entry(time: time, number: number, event: event))
    number += 1
    var child = entries.count - 1
    while child > 0, entries[child].precedes(entries[(child - 1) / 2]) {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func next() -> (time: Double, event: Event)? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    if !entries.isEmpty {
      entries[0] = last
      var parent = 0
      while true {
        let left = 2 * parent + 1
        guard left < entries.count else { break }
        let child = left + 1 < entries.count && entries[left + 1].precedes(entries[left]) ? left + 1 : left
        guard entries[child].precedes(entries[parent]) else { break }
        entries.swapAt(child, parent)
        parent = child
      }
    }
    return (first.time, first.event)
  }
}

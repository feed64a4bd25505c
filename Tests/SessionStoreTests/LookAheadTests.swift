import Testing

@testable import SessionStore

/// Who makes room and who is brought up, by what a queue says.
@Suite struct LookAheadTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  private func residents(_ names: String) -> [LookAhead<Character>.Resident] {
    // Used in this order; they came the other way round.
    names.enumerated().map { LookAhead.Resident(key: $1, arrived: Int64(-$0), used: Int64($0)) }
  }

  @Test func `those nobody asks for make room first, then those asked for last`() {
    let cases: [(policy: LookAhead<Character>.Policy, queue: String, there: String, place: Int?, victim: Character?)] = [
      (.queueAware, "", "abc", nil, "a"), (.queueAware, "a", "abc", nil, "b"), (.queueAware, "ab", "abc", nil, "c"),
      (.queueAware, "cab", "abc", nil, "b"), (.queueAware, "abaac", "abc", nil, "c"), (.queueAware, "ab", "", nil, nil),
      // For one that is asked for sooner or later than all others, or by nobody.
      (.queueAware, "xabc", "abc", 0, "c"), (.queueAware, "abcx", "abc", 3, nil), (.queueAware, "axbc", "abc", 1, "c"),
      (.queueAware, "abc", "abc", .max, nil), (.queueAware, "ab", "abc", .max, "c"), (.queueAware, "", "abc", .max, "a"),
      (.leastRecentlyUsed, "abc", "abc", nil, "a"), (.leastRecentlyUsed, "abc", "abc", .max, "a"),
      (.firstInFirstOut, "abc", "abc", nil, "c"),
    ]
    for (policy, queue, there, place, victim) in cases {
      let lookAhead = LookAhead(policy: policy, queue: queue)
      #expect(lookAhead.victim(among: residents(there), for: place) == victim, "\(policy) \(queue) \(there) \(place ?? -1)")
    }
  }

  @Test func `as many are wanted as have room, each once and in the order of the queue`() {
    let lookAhead = LookAhead(queue: "abacadb")
    #expect(lookAhead.queue == ["a", "b", "c", "d"] && lookAhead.place(of: "c") == 2 && lookAhead.place(of: "x") == .max)
    for (room, wanted) in [(0, 0), (99, 0), (100, 1), (399, 3), (400, 4), (9999, 4)] {
      #expect(lookAhead.wanted(room: room, meanItemBytes: 100).count == wanted)
    }
    #expect(lookAhead.wanted(room: 0, meanItemBytes: 0).count == 4, "nothing is known of sizes")
    #expect(LookAhead(policy: .leastRecentlyUsed, queue: "abc").queue.isEmpty)
  }

  /// A store whose disk has five items of 40 KB, and whose pool has room for two of them.
  private func store() throws -> SessionStore {
    var options = SessionStore.Options()
    (options.memoryBytes, options.diskBytes) = (100_000, 230_000)
    let store = SessionStore(disk: try folder.disk(byteLimit: 230_000), options: options)
    for name in ["a", "b", "c", "d", "e"] {
      store.save(SmallItem(name).change([40_000]))
      store.flush()
    }
    return store
  }

  private func pooled(_ store: SessionStore) -> [String] { store.pool.items().map(\.key.name).sorted() }

  private func expect(_ names: [String], running: [String] = [], in store: SessionStore) {
    store.expect(names.map { ItemKey(name: $0) }, running: running.map { ItemKey(name: $0) })
    store.reader.drain()
  }

  @Test func `what the queue names is brought to memory, the next one first, and stays there`() throws {
    let store = try store()
    #expect(pooled(store) == ["d", "e"])
    expect(["a", "none", "b", "c"], in: store)
    #expect(pooled(store) == ["a", "e"])
    let before = store.statistics.prefetches
    expect(["c", "a"], in: store)
    #expect(pooled(store) == ["a", "c"])
    expect(["a", "c"], in: store)
    #expect(pooled(store) == ["a", "c"] && store.statistics.prefetches == before + 1)
    // What nobody asks for finds no room beside those that are.
    store.save(SmallItem("f").change([40_000]))
    store.flush()
    #expect(pooled(store) == ["a", "c"])
    expect([], in: store)
    store.save(SmallItem("g").change([40_000]))
    store.flush()
    #expect(pooled(store).contains("g"))
  }

  @Test func `on a full disk those make room whom the queue does not name`() throws {
    let store = try store()
    expect(["a", "b"], running: ["c"], in: store)
    for name in ["f", "g"] {
      store.save(SmallItem(name).change([40_000]))
      store.flush()
    }
    #expect(try store.sessions().map(\.name).sorted() == ["a", "b", "c", "f", "g"])
    // A save has room even where all others are named, from those named last.
    expect(["g", "f", "c", "b", "a"], in: store)
    store.save(SmallItem("h").change([40_000]))
    store.flush()
    #expect(try store.session(named: "h") != nil && store.session(named: "a") == nil)
  }
}

import SessionStore

/// Which sessions a memory and a disk below it would hold, decided by the store's own policy.
struct SimulatedTiers {
  enum Place: Sendable, Hashable { case memory, disk, nowhere }

  private struct Item {
    var bytes: Double
    var arrived, used: Int64
  }

  let memoryLimit, diskLimit: Double
  /// Sessions in memory, all of which are on disk too, as in the store.
  private var memory: [Int: Item] = [:]
  private var disk: [Int: Item] = [:]
  private var (memoryBytes, diskBytes) = (0.0, 0.0)
  private var clock: Int64 = 0
  private(set) var lookAhead: LookAhead<Int>

  init(memory: Double, disk: Double, policy: LookAhead<Int>.Policy) {
    (memoryLimit, diskLimit, lookAhead) = (memory, disk, LookAhead(policy: policy))
  }

  mutating func expect(_ queue: some Sequence<Int>) { lookAhead = LookAhead(policy: lookAhead.policy, queue: queue) }

  func place(of session: Int) -> Place {
    memory[session] != nil ? .memory : disk[session] != nil ? .disk : .nowhere
  }

  func bytes(of session: Int) -> Double { disk[session]?.bytes ?? 0 }

  mutating func noteUse(_ session: Int) {
    clock += 1
    memory[session]?.used = clock
    disk[session]?.used = clock
  }

  /// Puts a session's new state where it has room.
  mutating func save(_ session: Int, bytes: Double) {
    clock += 1
    remove(session, from: \.memory, \.memoryBytes)
    let arrived = disk[session]?.arrived ?? clock
    remove(session, from: \.disk, \.diskBytes)
    let item = Item(bytes: bytes, arrived: arrived, used: clock)
    guard put(session, item, into: \.disk, \.diskBytes, limit: diskLimit, for: nil) else { return }
    _ = put(session, item, into: \.memory, \.memoryBytes, limit: memoryLimit, for: lookAhead.place(of: session))
  }

  /// The next session that is to be brought from disk to memory, as far as there is room for those that come sooner.
  func nextFetch(except settled: Set<Int>) -> Int? {
    guard !disk.isEmpty else { return nil }
    let wanted = lookAhead.wanted(room: Int(memoryLimit), meanItemBytes: diskBytes / Double(disk.count))
    return wanted.first { !settled.contains($0) && place(of: $0) == .disk }
  }

  mutating func bringUp(_ session: Int) {
    guard let item = disk[session], memory[session] == nil else { return }
    clock += 1
    _ = put(
      session, Item(bytes: item.bytes, arrived: clock, used: item.used), into: \.memory, \.memoryBytes,
      limit: memoryLimit, for: lookAhead.place(of: session))
  }

  private mutating func put(
    _ session: Int, _ item: Item, into tier: WritableKeyPath<Self, [Int: Item]>,
    _ bytes: WritableKeyPath<Self, Double>, limit: Double, for place: Int?
  ) -> Bool {
    guard item.bytes <= limit else { return false }
    while self[keyPath: bytes] + item.bytes > limit {
      let residents = self[keyPath: tier].lazy.map {
        LookAhead<Int>.Resident(key: $0.key, arrived: $0.value.arrived, used: $0.value.used)
      }
      guard let victim = lookAhead.victim(among: residents, for: place) else { return false }
      remove(victim, from: tier, bytes)
      // What leaves the disk leaves the system.
      if tier == \.disk { remove(victim, from: \.memory, \.memoryBytes) }
    }
    self[keyPath: tier][session] = item
    self[keyPath: bytes] += item.bytes
    return true
  }

  private mutating func remove(
    _ session: Int, from tier: WritableKeyPath<Self, [Int: Item]>, _ bytes: WritableKeyPath<Self, Double>
  ) {
    guard let item = self[keyPath: tier].removeValue(forKey: session) else { return }
    self[keyPath: bytes] -= item.bytes
  }
}

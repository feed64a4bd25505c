import CacheTestSupport
import KVCaches
import Kernels
import NIOCore
import Testing

@testable import SessionRedis
@testable import SessionStore

/// The tier on a real server.
@Suite(.enabled(if: RedisServer.isInstalled, "Scripts/install-redis installs redis-server"), .serialized)
struct RedisTierTests {
  private static let page = StoredSection.pageBytes
  private let server: RedisServer

  init() throws { server = try RedisServer() }

  private func tier(byteLimit: Int = 1 << 30, patience: TimeAmount = .seconds(5)) -> RedisTier {
    RedisTier(host: "127.0.0.1", port: server.port, byteLimit: byteLimit, patience: patience)
  }

  private func store(_ tier: any StorageTier, pool: Int = 0) -> SessionStore {
    var options = SessionStore.Options()
    options.memoryBytes = pool
    return SessionStore(disk: tier, options: options) { 1_000_000 }
  }

  private static let fingerprint = Fingerprint(model: "m", tokenizer: "t", cache: "c")

  private func change(
    _ key: ItemKey, _ lengths: [Int], byte: UInt8, from previous: Manifest? = nil
  ) -> ItemChange {
    let head = Manifest(
      fingerprint: Self.fingerprint, plan: "full", slotType: "f16", modelName: "tiny", tokens: 3, created: 5, saved: 5)
    var capture = ItemCapture(key, head, previous: previous)
    for (index, length) in lengths.enumerated() {
      [UInt8](repeating: byte, count: length).withUnsafeBytes { capture.write(.record("r\(index)"), $0) }
    }
    return capture.change()
  }

  private func records(_ manifest: Manifest, _ key: ItemKey, in tier: any StorageTier) throws -> [[UInt8]] {
    var records: [[UInt8]] = []
    for section in manifest.sections {
      try tier.read(section, of: key, generation: manifest.generation) { records.append(Array($0)) }
    }
    return records
  }

  @Test func `records of any length are there as they were written, and stale pages go`() throws {
    let tier = tier()
    let lengths = [0, Self.page + 1, 300 * Self.page + 7]
    for first in lengths {
      for second in lengths {
        let key = ItemKey(tenant: "x:1", name: "\(first) \(second)")
        var manifest: Manifest?
        for (byte, list) in [[first, 5, second], [second, 5, first], [first]].enumerated() {
          let change = change(key, list, byte: UInt8(byte), from: manifest)
          try tier.apply(change)
          manifest = change.manifest
          #expect(
            try records(change.manifest, key, in: tier) == list.map { [UInt8](repeating: UInt8(byte), count: $0) })
          #expect(try tier.manifest(of: key) == change.manifest.encoded)
        }
        #expect(try tier.item(key)?.bytes == first)
        try tier.remove(key, because: .expired)
        #expect(try tier.item(key) == nil && tier.departure(of: key) == .expired && tier.bytes() == 0)
      }
    }
  }

  /// A change that saves a cache of the first tokens of a sequence, and then others.
  private func change(
    _ tokens: Int, then other: Range<Int> = 0..<0, _ key: ItemKey, from previous: Manifest? = nil
  ) throws -> ItemChange {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
    let positions = MatrixSubject.positions
    let sequence = TokenSequence(shape: shape, positions: positions, count: 700, seed: 9)
    let attention = LocalAttention(
      shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    let cache = try KVCache(plan: .full, shape: shape, positions: positions)
    for range in [0..<tokens, other] where !range.isEmpty {
      _ = attention.run(cache, sequence, tokens: range, chunking: .sizes([20]))
    }
    let head = Manifest(
      fingerprint: Self.fingerprint, plan: "full", slotType: "f16", modelName: "tiny", tokens: cache.tokenCount,
      created: 5, saved: 5)
    var capture = ItemCapture(key, head, previous: previous)
    try capture.take(cache)
    return capture.change()
  }

  /// Whether all sections of an item are there as their hashes say.
  private func isWhole(_ manifest: Manifest, _ key: ItemKey, in tier: any StorageTier) -> Bool {
    let item = FoundItem(key, manifest, in: [tier])
    return manifest.sections.allSatisfy { section in (try? item.read(section) { _ in }) != nil }
  }

  @Test func `blocks that items have in common are written and held once, until the last one goes`() throws {
    let tier = tier()
    let (a, b, c) = (ItemKey(tenant: "x", name: "a"), ItemKey.unnamed("b", of: "x"), ItemKey(tenant: "x", name: "c"))
    // It grows, so that blocks fill that have pages already.
    var first = try change(100, a)
    try tier.apply(first)
    for tokens in [120, 300] {
      first = try change(tokens, a, from: first.manifest)
      #expect(try tier.apply(first) == first.bytes)
      #expect(isWhole(first.manifest, a, in: tier), "\(tokens)")
    }
    let second = try change(300, then: 400..<440, b)
    let growth = try tier.growth(with: second)
    let before = try tier.bytes()
    let written = try tier.apply(second)
    #expect(written * 2 < second.bytes && growth * 2 < second.bytes, "\(written) of \(second.bytes)")
    #expect(try tier.bytes() == before + growth && isWhole(second.manifest, b, in: tier))
    try tier.copy(a, to: c, at: 7)
    #expect(isWhole(first.manifest, c, in: tier) && isWhole(first.manifest, a, in: tier))
    // Other tokens in a block that was full.
    let other = try change(64, then: 500..<600, a, from: first.manifest)
    try tier.apply(other)
    for (manifest, key) in [(other.manifest, a), (second.manifest, b), (first.manifest, c)] {
      #expect(isWhole(manifest, key, in: tier), "\(key.name)")
    }
    let stranger = try change(300, ItemKey(tenant: "y", name: "a"))
    #expect(try tier.apply(stranger) == stranger.bytes, "owners share nothing")
    // Written whole again it has the blocks once all the same.
    let again = try change(300, then: 400..<440, b)
    try tier.apply(again)
    try tier.remove(a, because: .removed)
    #expect(isWhole(again.manifest, b, in: tier) && isWhole(first.manifest, c, in: tier))
    try tier.remove(c, because: .removed)
    #expect(isWhole(again.manifest, b, in: tier))
    // What the server evicts by itself is missed, and written again.
    let block = try #require(again.manifest.sections.lazy.compactMap(\.address).first)
    _ = try tier.send([RESPCommand("DEL", RedisTier.BlockKeys(block, of: "x", tier.prefix).pages)])
    #expect(!isWhole(again.manifest, b, in: tier))
    let whole = try change(300, then: 400..<440, b)
    try tier.apply(whole)
    #expect(isWhole(whole.manifest, b, in: tier))
    for key in [b, stranger.key] { try tier.remove(key, because: .removed) }
    #expect(try tier.bytes() == 0)
    let left = try tier.send([RESPCommand("KEYS", "*:b"), RESPCommand("KEYS", "*:u"), RESPCommand("KEYS", "*:p")])
    #expect(left.allSatisfy { $0.elements?.isEmpty == true })
    #expect(try tier.send([RESPCommand("GET", tier.savings)])[0].integer == 0)
  }

  @Test func `items stand in the order of use, tenants apart, and copies go their own way`() throws {
    let tier = tier()
    for (name, tenant) in [("a", ""), ("a", "x"), ("b:1", "")] {
      try tier.apply(change(ItemKey(tenant: tenant, name: name), [10], byte: 1))
    }
    try tier.noteUse(of: ItemKey(name: "a"), at: 9)
    try tier.setPinned(true, ItemKey(name: "b:1"))
    try tier.noteUse(of: ItemKey(name: "none"), at: 9)
    try tier.setPinned(true, ItemKey(name: "none"))
    #expect(try tier.items().map { $0.key.tenant + $0.key.name } == ["xa", "b:1", "a"])
    #expect(try tier.items().map(\.isPinned) == [false, true, false] && tier.item(ItemKey(name: "a"))?.used == 9)
    try tier.copy(ItemKey(name: "a"), to: ItemKey(name: "c"), at: 7)
    let manifest = try #require(try tier.manifest(of: ItemKey(name: "c"))).withUnsafeBytes { try Manifest($0) }
    try tier.apply(change(ItemKey(name: "a"), [10], byte: 2, from: manifest))
    #expect(try records(manifest, ItemKey(name: "c"), in: tier) == [[UInt8](repeating: 1, count: 10)])
    #expect(throws: TierError.gone) { try tier.copy(ItemKey(name: "none"), to: ItemKey(name: "d"), at: 7) }
    #expect(throws: TierError.gone) { try records(manifest, ItemKey(name: "a"), in: tier) }
  }

  @Test func `of two machines that save the same session, the one that has fallen behind is refused`() throws {
    let (first, second) = (tier(), tier())
    let key = ItemKey(name: "a")
    let start = change(key, [100], byte: 1)
    #expect(throws: TierError.gone) { try first.apply(change(key, [100], byte: 2, from: start.manifest)) }
    try first.apply(start)
    let next = change(key, [100], byte: 2, from: start.manifest)
    try second.apply(next)
    #expect(throws: TierError.outOfStep) { try first.apply(change(key, [200], byte: 3, from: start.manifest)) }
    #expect(try records(next.manifest, key, in: first) == [[UInt8](repeating: 2, count: 100)])
  }

  @Test func `an item is found by its marks, that with the first of them and saved last, until it goes`() throws {
    let tier = tier()
    func put(_ name: String, _ marks: [Int64]?, from previous: Manifest? = nil) throws -> Manifest {
      var change = change(ItemKey(name: name), [5], byte: 1, from: previous)
      change.marks = marks
      try tier.apply(change)
      return change.manifest
    }
    func found(_ marks: Int64...) throws -> String? { try tier.name(marked: marks, of: "")?.name }
    let a = try put("a b", [1, 2, .max])
    _ = try put("b", [1, .min])
    #expect(try found() == nil && found(7) == nil && tier.name(marked: [1], of: "x") == nil)
    #expect(try [found(1), found(2), found(9, .max, 1), found(.min, 2)] == ["b", "a b", "a b", "b"])
    let next = try put("a b", nil, from: a)
    #expect(try [found(1), found(2)] == ["b", "a b"])
    _ = try put("a b", [1, 3], from: next)
    #expect(try [found(1), found(3), found(2)] == ["a b", "a b", nil])
    try tier.remove(ItemKey(name: "b"), because: .removed)
    try tier.remove(ItemKey(name: "a b"), because: .removed)
    #expect(try [found(1), found(.min), found(3)] == [nil, nil, nil])
  }

  /// Takes a lease, for which it waits.
  private func lease(_ tier: RedisTier, for milliseconds: Int64) throws -> Lease {
    while true {
      if case .granted(let lease) = try tier.lease(ItemKey(name: "a"), to: "x y", milliseconds: milliseconds) {
        return lease
      }
    }
  }

  @Test func `one machine at a time has an item, and what another one writes late is refused`() throws {
    let (first, second) = (tier(), tier())
    let key = ItemKey(name: "a")
    func apply(_ byte: UInt8, _ token: Int64?, to tier: RedisTier) throws {
      var change = change(key, [100], byte: byte)
      change.token = token
      try tier.apply(change)
    }
    let one = try lease(first, for: 1 << 30)
    guard case .held(let left) = try second.lease(key, to: "z", milliseconds: 5) else {
      Issue.record("given twice")
      return
    }
    #expect(left > 1 << 29 && left <= 1 << 30)
    #expect(throws: TierError.fenced) { try apply(1, nil, to: second) }
    try apply(2, one.token, to: first)
    #expect(try first.renewLease(one, milliseconds: 1 << 30))
    try first.endLease(one)
    try apply(3, nil, to: second)
    // It runs out by itself.
    var last = try lease(second, for: 1)
    for _ in 0..<5 {
      let next = try lease(first, for: 1)
      #expect(next.token > last.token && last.token > one.token)
      for token in [one.token, last.token] {
        #expect(throws: TierError.fenced) { try apply(4, token, to: second) }
      }
      #expect(try !second.renewLease(last, milliseconds: 1))
      try second.endLease(last)
      try apply(5, next.token, to: first)
      #expect(try first.renewLease(next, milliseconds: 1))
      last = next
    }
    // Redis lets go of what it knows of leases: numbers rise all the same, and a renewal brings it back.
    let connection = RedisConnection(host: "127.0.0.1", port: server.port)
    _ = try connection.send([RESPCommand("DEL", "sluice:{0:a}:t", "sluice:{0:a}:l")])
    let next = try lease(first, for: 1 << 30)
    #expect(next.token > last.token)
    #expect(throws: TierError.fenced) { try apply(6, last.token, to: second) }
    _ = try connection.send([RESPCommand("DEL", "sluice:{0:a}:t", "sluice:{0:a}:l")])
    #expect(try first.renewLease(next, milliseconds: 1 << 30))
    #expect(throws: TierError.fenced) { try apply(6, last.token, to: second) }
  }

  @Test func `a lease that is taken between a look and a write is noticed, a renewed one does no harm`() async throws {
    let (first, second) = (tier(), tier())
    let key = ItemKey(name: "a")
    let one = try lease(first, for: 1 << 30)
    let renewing = Task.detached { for _ in 0..<500 { _ = try first.renewLease(one, milliseconds: 1 << 30) } }
    for byte in 0..<50 {
      var change = change(key, [9 * Self.page], byte: UInt8(byte))
      change.token = one.token
      try first.apply(change)
    }
    try await renewing.value
    // Leases of one millisecond change hands while the first one writes.
    try first.endLease(one)
    let stealing = Task.detached { for _ in 0..<50 { _ = try lease(second, for: 1) } }
    for byte in 0..<200 {
      var change = change(key, [9 * Self.page], byte: UInt8(byte))
      change.token = one.token
      do { try first.apply(change) } catch TierError.fenced { break }
    }
    try await stealing.value
    var late = change(key, [10], byte: 1)
    late.token = one.token
    #expect(throws: TierError.fenced) { try first.apply(late) }
  }

  @Test(arguments: StageMatrix.plans)
  func `a cache goes on from there as if nothing had happened`(plan: String) throws {
    let attention = try MatrixSubject.attention(threads: 1)
    let subject = MatrixSubject(plan: try KVCache.Plan(plan), slotType: .float16, attention: attention)
    let (store, elsewhere) = (store(tier(), pool: 1 << 20), store(tier()))
    let cache = try subject.makeCache()
    var manifest: Manifest?
    for end in [9, 20, 33, 50] {
      _ = subject.drive(cache, Int(cache.tokenCount)..<end, .sizes([7]))
      var capture = ItemCapture(
        ItemKey(name: plan),
        Manifest(
          fingerprint: Self.fingerprint, plan: plan, slotType: "f16", modelName: "tiny", tokens: cache.tokenCount,
          created: 0, saved: 0), previous: manifest)
      try capture.take(cache)
      cache.noteSaved()
      let change = capture.change()
      store.save(change)
      store.flush()
      manifest = change.manifest
      #expect(store.statistics.failedSaves == 0)
      for store in [store, elsewhere] {
        let other = try subject.makeCache()
        try store.find(ItemKey(name: plan), for: Self.fingerprint).get().restore(other)
        let isSame = other.snapshot() == cache.snapshot()
        #expect(isSame, "at \(end)")
      }
    }
  }

  private func miss(_ name: String, in store: SessionStore) -> Miss? {
    switch store.find(ItemKey(name: name), for: Self.fingerprint) {
    case .failure(let miss): return miss
    case .success(let item):
      do throws(Miss) {
        for section in item.manifest.sections { try item.read(section) { _ in } }
        return nil
      } catch {
        return error
      }
    }
  }

  @Test func `keys that the server evicts by itself are missed, and the next save brings them back`() throws {
    let connection = RedisConnection(host: "127.0.0.1", port: server.port)
    for (suffix, reason) in [(":f", Miss.neverStored), (":m", .evicted), (":p", .corrupt)] {
      let store = store(tier())
      store.save(change(ItemKey(name: "a"), [Self.page + 9], byte: 1))
      store.flush()
      #expect(miss("a", in: store) == nil)
      _ = try connection.send([RESPCommand("DEL", "sluice:{0:a}" + suffix)])
      #expect(miss("a", in: store) == reason, "\(suffix)")
      store.save(change(ItemKey(name: "a"), [Self.page + 9], byte: 2))
      store.flush()
      #expect(miss("a", in: store) == nil, "\(suffix)")
    }
  }

  @Test func `a server that is full, slow, gone and back is a reason to compute again`() throws {
    let small = try RedisServer(options: ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"])
    let full = store(RedisTier(host: "127.0.0.1", port: small.port))
    full.save(change(ItemKey(name: "a"), [8 << 20], byte: 1))
    full.flush()
    #expect(full.statistics.failedSaves == 1)

    let port = try RedisServer.freePort()
    let store = store(RedisTier(host: "127.0.0.1", port: port, patience: .milliseconds(400)))
    #expect(miss("a", in: store) == .unavailable)
    var server: RedisServer? = try RedisServer(port: port)
    // After a failure nobody tries for a second.
    while miss("a", in: store) == .unavailable {}
    #expect(miss("a", in: store) == .neverStored)
    store.save(change(ItemKey(name: "a"), [100], byte: 1))
    store.flush()
    #expect(miss("a", in: store) == nil)
    server?.pause()
    #expect(miss("a", in: store) == .unavailable)
    server?.resume()
    #expect(miss("a", in: store) == nil, "late replies belong to nobody")
    server?.stop()
    server = nil
    #expect(miss("a", in: store) == .unavailable)
    store.save(change(ItemKey(name: "a"), [100], byte: 1))
    store.flush()
    #expect(store.statistics.failedSaves == 1)
  }

  @Test func `replies come in any pieces, and what is none ends the connection`() throws {
    let whole = "+OK\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n:1\r\n*-1\r\n-ERR no\r\n$0\r\n\r\n"
    let expected: [RESPValue] = [
      .text("OK"), .integer(-7), .bulk(Array("a\r\n".utf8)), .bulk(nil), .array([.integer(1), .array(nil)]),
      .error("ERR no"), .bulk([]),
    ]
    for cut in 0...whole.utf8.count {
      var buffer = ByteBuffer(bytes: Array(whole.utf8.prefix(cut)))
      var values: [RESPValue] = []
      func take() throws {
        while true {
          let start = buffer.readerIndex
          guard buffer.readableBytes > 0, let value = try RESPDecoder.read(&buffer, depth: 0) else {
            return buffer.moveReaderIndex(to: start)
          }
          values.append(value)
        }
      }
      try take()
      buffer.writeBytes(Array(whole.utf8.dropFirst(cut)))
      try take()
      #expect(values == expected, "cut at \(cut)")
    }
    for bad in ["x\r\n", ":a\r\n", "$-2\r\n", "$99999999999\r\n", "*-2\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "\n"] {
      var buffer = ByteBuffer(string: bad)
      #expect(throws: RESPError.self, "\(bad)") { try RESPDecoder.read(&buffer, depth: 0) }
    }
  }
}

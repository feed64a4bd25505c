import CacheTestSupport
import KVCaches
import Kernels
import SealingTestSupport
import Testing

@testable import SessionRedis
@testable import SessionStore

/// Sealed items on a real server.
@Suite(.enabled(if: RedisServer.isInstalled, "Scripts/install-redis installs redis-server"), .serialized)
struct SealedRedisTests {
  private static let page = StoredSection.pageBytes
  private static let fingerprint = Fingerprint(model: "model-digest", tokenizer: "t", cache: "c")
  private let server: RedisServer

  init() throws { server = try RedisServer() }

  private func tier() -> RedisTier { RedisTier(host: "127.0.0.1", port: server.port, byteLimit: 1 << 30) }

  private func store(_ seal: StoreSeal?) -> SessionStore {
    var options = SessionStore.Options()
    options.memoryBytes = 0
    return SessionStore(disk: tier(), options: options, seal: seal) { 1_000_000 }
  }

  /// Saves records, and a cache of so many tokens.
  private func save(
    _ records: [[UInt8]], _ name: String, tokens: Int = 0, from previous: Manifest? = nil, in store: SessionStore
  ) throws -> (manifest: Manifest, written: Int) {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
    let sequence = TokenSequence(shape: shape, positions: MatrixSubject.positions, count: 400, seed: 9)
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    let cache = try KVCache(plan: .full, shape: shape, positions: MatrixSubject.positions)
    if tokens > 0 { _ = attention.run(cache, sequence, tokens: 0..<tokens, chunking: .sizes([20])) }
    var capture = ItemCapture(
      ItemKey(name: name),
      Manifest(
        fingerprint: Self.fingerprint, plan: "full", slotType: "f16", modelName: "model-name", tokens: cache.tokenCount,
        created: 5, saved: 5), previous: previous, hash: store.pageHash)
    for (index, record) in records.enumerated() {
      record.withUnsafeBytes { capture.write(.record("record-\(index)"), $0) }
    }
    try capture.take(cache)
    var change = capture.change()
    change.marks = [0x1122_3344_5566_7788]
    try store.checkSeal()
    return (change.manifest, try store.base.apply(change))
  }

  /// The records, once all of the item was found whole.
  private func read(_ name: String, in store: SessionStore) -> Result<[[UInt8]], Miss> {
    store.find(ItemKey(name: name)).flatMap { item in
      Result { () throws(Miss) in
        var records: [[UInt8]] = []
        for section in item.manifest.sections {
          try item.read(section) { if section.name.isRecord { records.append(Array($0)) } }
        }
        return records
      }
    }
  }

  /// All that the server holds.
  private func contents() throws -> [UInt8] {
    let tier = tier()
    var contents: [UInt8] = []
    for key in try tier.send([RESPCommand("KEYS", "*")])[0].elements ?? [] {
      let name = String(decoding: key.bytes ?? [], as: UTF8.self)
      contents += key.bytes ?? []
      for command in [
        RESPCommand("GET", name), RESPCommand("HGETALL", name), RESPCommand("SMEMBERS", name),
        RESPCommand("ZRANGE", name, "0", "-1"),
      ] {
        // A key of another kind is an error.
        guard let reply = try? tier.send([command])[0] else { continue }
        contents += reply.bytes ?? []
        contents += (reply.elements ?? []).flatMap { $0.bytes ?? [] }
      }
    }
    return contents
  }

  @Test(arguments: [nil] + TestSeal.allCases.map { Optional($0) })
  func `items are there as they were written, share blocks, are copied, and cannot be read`(seal: TestSeal?) throws {
    let store = store(try seal?.seal())
    let text = Array(String(repeating: "nobody else reads this ", count: 2000).utf8)
    let first = try save([text, []], "a", tokens: 100, in: store)
    #expect(read("a", in: store) == .success([text, []]))
    // Blocks fill that have pages already.
    let second = try save([text, [1]], "a", tokens: 300, from: first.manifest, in: store)
    #expect(read("a", in: store) == .success([text, [1]]))
    let other = try save([[2]], "b", tokens: 300, in: store)
    #expect(other.written * 2 < second.manifest.bytes, "what both begin with is there")
    #expect(read("b", in: store) == .success([[2]]))
    #expect(try store.fork("a", as: "c") && store.remove("a"))
    #expect(read("c", in: store) == .success([text, [1]]) && read("b", in: store) == .success([[2]]))
    #expect(store.name(marked: [5, 0x1122_3344_5566_7788], of: "")?.name == "b")
    let contents = try contents()
    let address = try #require(second.manifest.sections.compactMap(\.address).first)
    let secrets = [
      "nobody else reads this", "model-digest", "model-name", "record-0", address.text,
      "\(Int64(0x1122_3344_5566_7788))",
    ]
    for secret in secrets {
      let bytes = Array(secret.utf8)
      let isThere = contents.indices.contains { contents[$0] == bytes[0] && contents[$0...].starts(with: bytes) }
      #expect(isThere == (seal == nil), "\(secret)")
    }
    for name in ["b", "c"] { #expect(try store.remove(name)) }
    #expect(try store.base.bytes() == 0)
  }

  @Test(arguments: TestSeal.allCases)
  func `what is sealed is for its key only, also item by item`(seal: TestSeal) throws {
    let openers: [(name: String, seal: StoreSeal?)] = [
      ("no key", nil), ("key 1", try seal.seal(key: 1)), ("key 2", try seal.seal(key: 2)),
    ]
    for owner in openers {
      let own = store(owner.seal)
      let saved = try save([[7]], "a", in: own)
      for opener in openers where opener.name != owner.name {
        let comment: Comment = "\(owner.name) opened with \(opener.name)"
        let other = store(opener.seal)
        let mismatch: SealMismatch = opener.seal == nil ? .noKey : owner.seal == nil ? .notSealed : .otherKey
        for name in ["a", "b"] {
          #expect(throws: TierError.sealed(mismatch), comment) { try save([[8]], name, in: other) }
        }
        let change = ItemCapture(ItemKey(name: "a"), saved.manifest, previous: nil).change()
        #expect(throws: TierError.sealed(mismatch), comment) { try other.base.apply(change) }
        #expect(read("a", in: other) == .failure(.sealed), comment)
      }
      #expect(read("a", in: own) == .success([[7]]), "\(owner.name)")
      #expect(try own.remove("a"))
    }
  }
}

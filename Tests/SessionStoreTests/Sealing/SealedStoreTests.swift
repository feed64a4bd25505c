import CacheTestSupport
import Foundation
import KVCaches
import Kernels
import SealingTestSupport
import Testing

@testable import SessionStore

/// Nothing that is sealed can be read without its key, and stores are for those only that have it.
@Suite struct SealedStoreTests {
  private static let page = StoredSection.pageBytes
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  static func cache() throws -> KVCache {
    let subject = MatrixSubject(
      plan: .full, slotType: .float16, attention: try MatrixSubject.attention(threads: 1))
    let cache = try subject.makeCache()
    _ = subject.drive(cache, 0..<64, .sizes([7]))
    return cache
  }

  /// The store's file and its log.
  private func contents() throws -> Data {
    try ["", "-wal"].reduce(into: Data()) { $0 += try Data(contentsOf: URL(fileURLWithPath: folder.file + $1)) }
  }

  private func holds(_ needle: [UInt8]) throws -> Bool { try contents().range(of: Data(needle)) != nil }

  @Test(arguments: [nil] + TestSeal.allCases.map { Optional($0) })
  func `of what is stored names, sizes and times can be read, and the rest only where it is not sealed`(
    seal: TestSeal?
  ) throws {
    let records = try SealedRecords(folder, seal?.seal())
    let sentence = "what nobody else is to read "
    let text = Array(String(repeating: sentence, count: 2000).utf8)
    let marks: [Int64] = [0x1122_3344_5566_7788, 0x0102_0304_0506_0708]
    let manifest = try records.save([text, Array("short".utf8)], "a-name", tenant: "a-tenant", marks: marks)
    var cache = StoredCache(records.store, name: "cache")
    try cache.save(Self.cache())
    #expect(try records.read("a-name", tenant: "a-tenant").get() == [text, Array("short".utf8)])
    let settled = try #require(cache.manifest?.sections.first { $0.address != nil })
    var secrets: [(String, [UInt8])] = [
      ("text", Array(sentence.utf8)), ("short text", Array("short".utf8)),
      ("address", Array(settled.address!.text.utf8)),
      ("a hash of a page", withUnsafeBytes(of: manifest.sections[0].parts[0].hashes[0].littleEndian) { Array($0) }),
      ("a mark", withUnsafeBytes(of: marks[0].bigEndian) { Array($0) }),
    ]
    for name in [
      "model-digest", "tokenizer-digest", "cache-identity", "plan-text", "slot-text", "model-name", "record-0",
    ] {
      secrets.append((name, Array(name.utf8)))
    }
    for (name, bytes) in secrets { #expect(try holds(bytes) == (seal == nil), "\(name)") }
    for name in ["a-name", "a-tenant"] { #expect(try holds(Array(name.utf8)), "\(name)") }
    #expect(
      records.store.name(marked: [7, marks[1], marks[0]], of: "a-tenant") == MarkedName(name: "a-name", mark: marks[1]))
    #expect(records.store.name(marked: [7], of: "a-tenant") == nil)
  }

  @Test(arguments: TestSeal.allCases)
  func `a store is for those that have its key, and what it holds stays for them`(seal: TestSeal) throws {
    let openers: [(name: String, seal: StoreSeal?)] = [
      ("no key", nil), ("key 1", try seal.seal(key: 1)), ("key 2", try seal.seal(key: 2)),
    ]
    for owner in openers {
      let folder = try StoreFolder()
      for opener in openers { try SealedRecords(folder, opener.seal).store.checkSeal() }
      let own = try SealedRecords(folder, owner.seal)
      let content = [[UInt8](repeating: 5, count: 20_000)]
      let saved = try own.save(content, "a", marks: [3])
      for opener in openers where opener.name != owner.name {
        let comment: Comment = "\(owner.name) opened with \(opener.name)"
        var options = SessionStore.Options()
        // Room for one, and a lifetime that is over.
        (options.memoryBytes, options.diskBytes, options.lifetime) = (0, 30_000, 1)
        let other = SessionStore(
          disk: try folder.disk(byteLimit: 30_000), options: options, seal: opener.seal
        ) { 1_000_000 }
        let mismatch: SealMismatch =
          opener.seal == nil ? .noKey : owner.seal == nil ? .notSealed : .otherKey
        #expect(throws: TierError.sealed(mismatch), comment) { try other.checkSeal() }
        let strange = SealedRecords(folder: folder, store: other)
        // Whatever is there already, in place of it or beside it.
        for name in ["a", "b"] {
          #expect(throws: TierError.sealed(mismatch), comment) { try strange.save(content, name) }
          #expect(throws: TierError.sealed(mismatch), comment) { try strange.save(content, name, from: saved) }
        }
        #expect(throws: TierError.sealed(mismatch), comment) { try strange.replace("a") }
        #expect(try other.sessions().map(\.name) == ["a"], comment)
        #expect(other.statistics.evictions == 0 && other.statistics.failedSaves == 4, comment)
        #expect(strange.read("a") == .failure(.expired), comment)
        other.flush()
        let others = try SealedRecords(folder, opener.seal)
        #expect(others.read("a") == .failure(.sealed), comment)
        #expect(owner.seal == nil || others.store.name(marked: [3], of: "") == nil, comment)
      }
      #expect(own.read("a") == .success(content), "\(owner.name)")
    }
  }

  @Test(arguments: TestSeal.allCases)
  func `what is sealed on disk is copied, listed and brought to memory as ever`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal(), memory: 1 << 24)
    let content = [[UInt8](repeating: 5, count: 2 * Self.page + 9), [], [1]]
    let first = try records.save(content, "a")
    #expect(try records.store.fork("a", as: "b"))
    try records.save([[9]], "a", from: first)
    #expect(records.read("b") == .success(content) && records.read("a") == .success([[9]]))
    let listed = try #require(try records.store.session(named: "b"))
    #expect(listed.model == "model-name" && listed.plan == "plan-text" && listed.bytes == 2 * Self.page + 10 + 4 * 28)
    let next = try SealedRecords(folder, seal.seal(), memory: 1 << 24)
    #expect(next.store.promote(ItemKey(name: "b"), place: 0))
    #expect(try next.store.find(ItemKey(name: "b")).get().tier == "memory" && next.read("b") == .success(content))
    #expect(throws: TierError.self) {
      try next.store.base.copy(ItemKey(name: "b"), to: ItemKey(tenant: "x", name: "b"), at: 5)
    }
  }

  @Test(arguments: TestSeal.allCases)
  func `records of any length are there in every tier, however they grew, shrank or went`(seal: TestSeal) throws {
    let lengths = [0, 1, Self.page - 1, Self.page, Self.page + 1, 3 * Self.page]
    let seal = try seal.seal()
    for tier in [SealedTier(MemoryTier(byteLimit: 1 << 26), seal), SealedTier(try folder.disk(), seal)] {
      for first in lengths {
        for second in lengths {
          var item = SmallItem("\(first) \(second)")
          for (byte, list) in [[first, 5, second], [second, 5, first], [first]].enumerated() {
            try item.put(list, byte: UInt8(byte), into: tier)
            let expected = list.map { [UInt8](repeating: UInt8(byte), count: $0) }
            #expect(try item.records(in: tier) == expected, "\(first) \(second) on \(tier.name)")
          }
          try tier.remove(item.key, because: .removed)
        }
      }
      #expect(try tier.bytes() == 0)
    }
  }
}

extension SealedRecords {
  init(folder: StoreFolder, store: SessionStore) { (self.folder, self.store) = (folder, store) }

  /// Writes an item whole, past the look at the store.
  func replace(_ name: String) throws {
    try store.base.apply(SmallItem(name).change([1], whole: true, hash: store.pageHash))
  }
}

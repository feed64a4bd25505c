import CacheTestSupport
import KVCaches
import Kernels
import SealingTestSupport
import TestSupport
import Testing

@testable import SessionStore

/// Full blocks that items of one owner have in common and a tier keeps once.
@Suite struct SharingTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
  private static let sequence = TokenSequence(
    shape: shape, positions: MatrixSubject.positions, count: 2000, seed: 9)
  private let attention: LocalAttention
  private let folder: StoreFolder

  init() throws {
    folder = try StoreFolder()
    attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
  }

  /// A cache that has read the first tokens, and then others where those of `other` stand.
  private func cache(_ tokens: Int, then other: Range<Int> = 0..<0, plan: String = "full") throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Self.shape, positions: MatrixSubject.positions)
    _ = attention.run(cache, Self.sequence, tokens: 0..<tokens, chunking: .sizes([32]))
    if !other.isEmpty { _ = attention.run(cache, Self.sequence, tokens: other, chunking: .sizes([32])) }
    return cache
  }

  /// Items of a tier, saved again and again.
  private final class Shelf {
    let tier: any StorageTier
    private var manifests: [ItemKey: Manifest] = [:]
    /// What caches were when they were saved.
    private var snapshots: [ItemKey: [UInt8]] = [:]

    private let hash: PageHash
    /// Bytes by which a page is longer in the tier.
    private let overhead: Int

    init(_ tier: any StorageTier) {
      self.tier = tier
      let seal = (tier as? SealedTier)?.seal
      (hash, overhead) = (seal?.pageHash ?? PageHash(), seal?.sealer.overhead ?? 0)
    }

    private func bytes(_ section: StoredSection) -> Int {
      section.bytes + section.parts.reduce(0) { $0 + $1.hashes.count } * overhead
    }

    /// - Returns: bytes that were written, and that the change has.
    @discardableResult
    func save(
      _ cache: KVCache, _ key: ItemKey, whole: Bool = false, rewrites: Bool = false
    ) throws -> (written: Int, all: Int) {
      var capture = ItemCapture(
        key,
        Manifest(
          fingerprint: StoredCache.fingerprint, plan: "full", slotType: "f16", modelName: "tiny",
          tokens: cache.tokenCount, created: 5, saved: 5), previous: whole ? nil : manifests[key], hash: hash)
      try capture.take(cache)
      cache.noteSaved()
      var change = capture.change()
      change.rewrites = rewrites
      let before = try tier.bytes()
      let growth = try tier.growth(with: change)
      let written = try tier.apply(change)
      #expect(try tier.bytes() <= before + growth, "it grows by no more than it says")
      manifests[key] = change.manifest
      snapshots[key] = cache.snapshot()
      return (written, change.bytes + change.pages.count * overhead)
    }

    func copy(_ key: ItemKey, to other: ItemKey) throws {
      try tier.copy(key, to: other, at: 6)
      (manifests[other], snapshots[other]) = (manifests[key], snapshots[key])
    }

    func remove(_ key: ItemKey) throws {
      try tier.remove(key, because: .removed)
      (manifests[key], snapshots[key]) = (nil, nil)
    }

    /// Bytes of what there is, each block of an owner counted once.
    var bytes: Int {
      var blocks: [SharedBlocks.Key: Int] = [:]
      var rest = 0
      for (key, manifest) in manifests {
        for section in manifest.sections {
          guard let address = section.address else {
            rest += bytes(section)
            continue
          }
          blocks[SharedBlocks.Key(owner: key.owner, address: address)] = bytes(section)
        }
      }
      return blocks.values.reduce(rest, +)
    }

    /// Takes every item up.
    func check(_ make: () throws -> KVCache, _ comment: Comment) throws {
      #expect(try tier.bytes() == bytes, comment)
      for (key, manifest) in manifests {
        let stored = try #require(try tier.manifest(of: key)).withUnsafeBytes { try Manifest($0) }
        #expect(stored == manifest, comment)
        let cache = try make()
        try FoundItem(key, manifest, in: [tier], hash: hash).restore(cache)
        #expect(cache.snapshot() == snapshots[key], comment)
      }
    }
  }

  private func tiers() throws -> [any StorageTier] {
    let plain: [any StorageTier] = [MemoryTier(byteLimit: 1 << 30), try folder.disk()]
    let sealed = try TestSeal.allCases.flatMap { seal -> [any StorageTier] in
      let disk = try DiskTier(path: "\(folder.path)/\(seal).sluice", durability: .process)
      return [try SealedTier(MemoryTier(byteLimit: 1 << 30), seal.seal()), try SealedTier(disk, seal.seal())]
    }
    return plain + sealed
  }

  private func rows(_ table: String) throws -> Int64 {
    try SQLiteDatabase(path: folder.file).statement("SELECT COUNT(*) FROM \(table)").first { $0.integer(0) } ?? -1
  }

  @Test func `what two items begin with is written and held once, until both are gone`() throws {
    for tier in try tiers() {
      let shelf = Shelf(tier)
      let (first, second) = (ItemKey(tenant: "x", name: "a"), ItemKey.unnamed("b", of: "x"))
      let whole = try shelf.save(cache(520), first)
      #expect(whole.written == whole.all)
      let alike = try shelf.save(cache(520, then: 600..<700), second)
      // 512 of 620 tokens are there.
      #expect(alike.written * 5 < alike.all, "\(alike)")
      try shelf.check({ try cache(0) }, "both on \(tier.name)")
      let other = ItemKey(tenant: "y", name: "a")
      let elsewhere = try shelf.save(cache(520), other)
      #expect(elsewhere.written == elsewhere.all, "owners share nothing")
      try shelf.check({ try cache(0) }, "three on \(tier.name)")
      for key in [first, other, second] {
        try shelf.remove(key)
        try shelf.check({ try cache(0) }, "without \(key.name) on \(tier.name)")
      }
      #expect(try tier.bytes() == 0)
    }
    for table in ["pages", "blocks", "block_uses", "items"] { #expect(try rows(table) == 0, "\(table)") }
  }

  @Test func `a block that fills is not written again, and what is not full is nobody else's`() throws {
    for tier in try tiers() {
      let shelf = Shelf(tier)
      let (growing, key) = (try cache(0), ItemKey(name: "a"))
      var (tokens, written) = (0, 0)
      for end in stride(from: 20, through: 1300, by: 40) {
        _ = attention.run(growing, Self.sequence, tokens: tokens..<end, chunking: .sizes([20]))
        tokens = end
        let save = try shelf.save(growing, key)
        #expect(save.written == save.all)
        written = save.written
      }
      try shelf.check({ try cache(0) }, tier.name == "disk" ? "on disk" : "in memory")
      #expect(written * 4 < shelf.bytes)
      // 1,280 tokens in the same steps, then others: of the block that is not full nothing is shared.
      let other = try cache(0)
      _ = attention.run(other, Self.sequence, tokens: 0..<1280, chunking: .sizes([20]))
      _ = attention.run(other, Self.sequence, tokens: 1400..<1420, chunking: .sizes([20]))
      let save = try shelf.save(other, ItemKey(name: "b"))
      #expect(save.written * 3 < save.all)
      try shelf.check({ try cache(0) }, "two")
    }
  }

  @Test func `bounded caches share nothing`() throws {
    let tier = MemoryTier(byteLimit: 1 << 30)
    let shelf = Shelf(tier)
    for plan in ["streaming-llm:4+60", "sinks:3,tokens", "quest:64"] {
      for name in ["a", "b"] {
        let save = try shelf.save(cache(200, plan: plan), ItemKey(name: name), whole: true)
        #expect(save.written == save.all)
      }
    }
  }

  @Test func `whatever items do, each remains what was saved and all take what they say`() throws {
    for tier in try tiers() {
      var random = SplitMix64(seed: 77)
      let shelf = Shelf(tier)
      var caches: [ItemKey: KVCache] = [:]
      let keys = ["a", "b", "c"].flatMap { [ItemKey(tenant: "x", name: $0), .unnamed($0, of: "x")] }
      for step in 0..<60 {
        guard let key = keys.randomElement(using: &random), let other = keys.randomElement(using: &random) else {
          return
        }
        switch (Int.random(in: 0..<8, using: &random), caches[key]) {
        case (0, _?):
          try shelf.remove(key)
          caches[key] = nil
        case (1, let known?) where other != key:
          try shelf.copy(key, to: other)
          let copy = try cache(0)
          try copy.restore(known.snapshot())
          copy.noteSaved()
          caches[other] = copy
        case (2...5, let known?):
          // Goes on, sometimes with tokens that others go on with too.
          let place = [min(1700, Int(known.tokenCount)), 1200, 1500].randomElement(using: &random) ?? 0
          let count = Int.random(in: 1...200, using: &random)
          _ = attention.run(known, Self.sequence, tokens: place..<place + count, chunking: .sizes([32]))
          try shelf.save(known, key)
        case (6, let known?):
          // Takes tokens back, into blocks that were full.
          let less = try cache(0)
          try less.restore(known.snapshot())
          try less.keepUndoLog(depth: 300)
          _ = attention.run(less, Self.sequence, tokens: 1000..<1100, chunking: .sizes([32]))
          try less.rollBack(tokens: 40)
          _ = attention.run(less, Self.sequence, tokens: 1700..<1730, chunking: .sizes([32]))
          caches[key] = less
          try shelf.save(less, key, whole: Bool.random(using: &random))
        default:
          let fresh = try cache([64, 130, 300, 520].randomElement(using: &random) ?? 0)
          caches[key] = fresh
          try shelf.save(fresh, key, whole: true)
        }
        try shelf.check({ try cache(0) }, "step \(step) on \(tier.name)")
      }
    }
  }

  @Test func `as many items have room as what they do not share takes`() throws {
    let size = try cache(520, then: 600..<610)
    var stored = StoredCache(try Tiers.memory.store(folder))
    try stored.save(size)
    let bytes = try #require(stored.manifest).bytes
    var options = SessionStore.Options()
    (options.memoryBytes, options.diskBytes) = (0, bytes * 2)
    let store = SessionStore(disk: MemoryTier(byteLimit: bytes * 2), options: options) { 5 }
    for index in 0..<8 {
      var item = StoredCache(store, name: "\(index)")
      try item.save(cache(520, then: 600 + 10 * index..<610 + 10 * index))
    }
    #expect(store.statistics.evictions == 0 && store.base is MemoryTier)
    #expect(try store.base.items().count == 8 && store.base.bytes() < bytes * 2)
    #expect(store.statistics.savedBytes < bytes * 2)
    let stranger = StoredCache(store, name: "b", tenant: "y")
    var other = stranger
    try other.save(size)
    #expect(try store.base.bytes() <= bytes * 2 && stranger.miss() == nil)
  }

  @Test func `a damaged block is right again for all once one of them writes it`() throws {
    let shelf = Shelf(try folder.disk())
    let (first, second) = (ItemKey(name: "a"), ItemKey(name: "b"))
    try shelf.save(cache(300), first)
    try shelf.save(cache(300), second)
    try SQLiteDatabase(path: folder.file).execute(
      "UPDATE pages SET content = zeroblob(length(content)) WHERE item < 0")
    #expect(throws: Miss.corrupt) { try shelf.check({ try cache(0) }, "damaged") }
    try shelf.save(cache(300), first, whole: true)
    #expect(throws: Miss.corrupt) { try shelf.check({ try cache(0) }, "what is there is not written") }
    let save = try shelf.save(cache(300), first, whole: true, rewrites: true)
    #expect(save.written == save.all)
    // The second one's last block is its own.
    try shelf.save(cache(300), second, whole: true)
    try shelf.check({ try cache(0) }, "right")
  }

  @Test func `a file of before there were blocks goes on, and shares from then on`() throws {
    let key = ItemKey(name: "a")
    let growing = try cache(100)
    let shelf: Shelf
    do {
      // What the earlier version wrote: no tables of blocks, and pages beside their items.
      let tier = try folder.disk()
      shelf = Shelf(tier)
      try shelf.save(growing, key)
      let database = try SQLiteDatabase(path: folder.file)
      try database.execute(
        """
        UPDATE pages SET place = place + (SELECT section << 32 FROM block_uses WHERE block = -pages.item),
          item = (SELECT item FROM block_uses WHERE block = -pages.item) WHERE item < 0;
        DROP TABLE blocks; DROP TABLE block_uses; PRAGMA user_version = 2;
        """)
    }
    let next = Shelf(try folder.disk())
    let found = try #require(try next.tier.manifest(of: key)).withUnsafeBytes { try Manifest($0) }
    let restored = try cache(0)
    try FoundItem(key, found, in: [next.tier]).restore(restored)
    #expect(restored.snapshot() == growing.snapshot())
    try next.save(restored, key, whole: true)
    let alike = try next.save(cache(100), ItemKey(name: "b"))
    #expect(alike.written < alike.all)
    try next.check({ try cache(0) }, "migrated")
  }
}

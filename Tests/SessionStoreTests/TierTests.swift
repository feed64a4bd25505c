import Testing

@testable import SessionStore

/// What every tier does alike.
@Suite struct TierTests {
  private static let page = StoredSection.pageBytes
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  private func tiers(byteLimit: Int = 1 << 26) throws -> [any StorageTier] {
    [MemoryTier(byteLimit: byteLimit), try folder.disk(byteLimit: byteLimit)]
  }

  @Test func `records of any length are there as they were written, however they grew, shrank or went`() throws {
    let lengths = [0, 1, Self.page - 1, Self.page, Self.page + 1, 3 * Self.page, 40]
    for tier in try tiers() {
      for first in lengths {
        for second in lengths {
          for third in [nil, first, second] as [Int?] {
            var item = SmallItem("\(first) \(second) \(third ?? -1)")
            try item.put([first, 5, second], byte: 1, into: tier)
            try item.put([second, 5, first], byte: 1, into: tier)
            let last = [first] + (third.map { [$0] } ?? [])
            try item.put(last, byte: 2, into: tier)
            #expect(try item.records(in: tier) == last.map { [UInt8](repeating: 2, count: $0) }, "\(tier.name)")
            #expect(try tier.item(item.key)?.bytes == last.reduce(0, +))
            try tier.remove(item.key, because: .removed)
            #expect(try tier.bytes() == 0)
          }
        }
      }
    }
  }

  @Test func `only pages that differ are written`() throws {
    var item = SmallItem("a")
    let tier = MemoryTier(byteLimit: 1 << 20)
    try item.put([3 * Self.page, Self.page], into: tier)
    #expect(item.change([3 * Self.page, Self.page]).bytes == 0)
    #expect(item.change([3 * Self.page + 9, Self.page]).bytes == 9)
    #expect(item.change([3 * Self.page - 1, Self.page]).bytes == Self.page - 1)
    #expect(item.change([3 * Self.page, Self.page], byte: 8).bytes == 4 * Self.page)
  }

  @Test func `a change from another generation is refused and changes nothing`() throws {
    for tier in try tiers() {
      var item = SmallItem("a")
      #expect(throws: TierError.gone) {
        var never = SmallItem("b")
        never.manifest = SmallItem("b").change([4]).manifest
        try tier.apply(never.change([5]))
      }
      try item.put([100], byte: 1, into: tier)
      let old = item
      try item.put([200], byte: 2, into: tier)
      #expect(throws: TierError.outOfStep) { try tier.apply(old.change([300], byte: 3)) }
      #expect(try item.records(in: tier) == [[UInt8](repeating: 2, count: 200)])
      let stranger = SmallItem("a").change([200], byte: 5)
      #expect(stranger.manifest.generation != old.manifest?.generation, "what is written whole is nobody's successor")
      #expect(throws: TierError.gone, "an older generation is no longer there") { try old.records(in: tier) }
      try item.put([300], byte: 4, whole: true, into: tier)
      #expect(try item.records(in: tier) == [[UInt8](repeating: 4, count: 300)])
    }
  }

  @Test func `items stand in the order of use, tenants apart, and say why they left`() throws {
    for tier in try tiers() {
      for (name, tenant) in [("a", ""), ("a", "x"), ("b", ""), ("c", "")] {
        var item = SmallItem(name, tenant: tenant)
        try item.put([10], into: tier)
      }
      try tier.noteUse(of: ItemKey(name: "a"), at: 2_000_000)
      #expect(try tier.items().map { $0.key.tenant + $0.key.name } == ["xa", "b", "c", "a"])
      #expect(try tier.item(ItemKey(name: "a"))?.used == 2_000_000)
      try tier.setPinned(true, ItemKey(name: "b"))
      #expect(try tier.items().map(\.isPinned) == [false, true, false, false])
      for (name, reason) in [("b", Departure.evicted), ("c", .expired), ("a", .removed)] {
        try tier.remove(ItemKey(name: name), because: reason)
        #expect(try tier.departure(of: ItemKey(name: name)) == reason)
        #expect(try tier.item(ItemKey(name: name)) == nil && tier.manifest(of: ItemKey(name: name)) == nil)
      }
      #expect(try tier.departure(of: ItemKey(tenant: "x", name: "b")) == nil)
      #expect(try tier.bytes() == 10)
      var again = SmallItem("b")
      try again.put([10], into: tier)
      #expect(try tier.departure(of: again.key) == nil)
    }
  }

  @Test func `a copy goes its own way`() throws {
    for tier in try tiers() {
      var (item, other) = (SmallItem("a"), SmallItem("b"))
      #expect(throws: TierError.gone) { try tier.copy(item.key, to: other.key, at: 5) }
      try item.put([Self.page + 5, 3], byte: 1, into: tier)
      try other.put([7], byte: 9, into: tier)
      try tier.copy(item.key, to: other.key, at: 5)
      other.manifest = item.manifest
      try item.put([Self.page + 5, 3], byte: 2, into: tier)
      #expect(try other.records(in: tier).map(\.first) == [1, 1])
      #expect(try item.records(in: tier).map(\.first) == [2, 2])
      #expect(try tier.bytes() == 2 * (Self.page + 8))
      try other.put([Self.page], byte: 3, into: tier)
      #expect(try item.records(in: tier).map(\.count) == [Self.page + 5, 3])
    }
  }

  @Test func `an item is found by its marks, that with the first of them and saved last, until it goes`() throws {
    for tier in try tiers() {
      func put(_ item: inout SmallItem, _ marks: [Int64]?) throws {
        var change = item.change([5])
        change.marks = marks
        try tier.apply(change)
        item.manifest = change.manifest
      }
      var (a, b, other) = (SmallItem("a"), SmallItem("b"), SmallItem("c", tenant: "x"))
      try put(&a, [1, 2, .max])
      try put(&b, [1, .min])
      try put(&other, [7])
      func found(_ marks: Int64...) throws -> String? { try tier.name(marked: marks, of: "")?.name }
      #expect(try found() == nil && found(7) == nil && found(9, 7) == nil)
      #expect(try [found(1), found(2), found(9, .max, 1), found(.min, 2)] == ["b", "a", "a", "b"])
      try put(&a, nil)
      #expect(try [found(1), found(2)] == ["b", "a"])
      try put(&a, [1, 3])
      #expect(try [found(1), found(3), found(2)] == ["a", "a", nil])
      try tier.remove(b.key, because: .removed)
      #expect(try [found(1), found(.min)] == ["a", nil])
      try tier.copy(a.key, to: b.key, at: 5)
      #expect(try found(1) == "a", "a copy is found by its name only")
      try tier.remove(a.key, because: .removed)
      #expect(try found(1) == nil && tier.name(marked: [5, 7], of: "x") == MarkedName(name: "c", mark: 7))
    }
  }

  @Test func `what is on disk is there for the next process`() throws {
    var item = SmallItem("a")
    do {
      let tier = try folder.disk()
      try item.put([Self.page + 5, 3], byte: 1, into: tier)
      try tier.remove(ItemKey(name: "b"), because: .removed)
    }
    let tier = try folder.disk()
    #expect(tier.notice == nil)
    #expect(try item.records(in: tier).map(\.count) == [Self.page + 5, 3])
    #expect(try tier.manifest(of: item.key) == item.manifest?.encoded)
  }

  @Test func `two processes see what the other writes, and cannot overwrite it unseen`() throws {
    let (first, second) = (try folder.disk(), try folder.disk())
    var item = SmallItem("a")
    try item.put([10], byte: 1, into: first)
    var elsewhere = item
    #expect(try elsewhere.records(in: second) == [[UInt8](repeating: 1, count: 10)])
    try elsewhere.put([10], byte: 2, into: second)
    #expect(throws: TierError.outOfStep) { try item.put([10], byte: 3, into: first) }
    #expect(try elsewhere.records(in: first) == [[UInt8](repeating: 2, count: 10)])
  }

  @Test func `a manifest that lost or gained a byte, or has one damaged, is refused`() throws {
    let bytes = SmallItem("a").change([Self.page + 1, 3]).manifest.encoded
    let read = { (bytes: [UInt8]) -> Miss? in
      do throws(Miss) {
        let result: Result<Manifest, Miss> = bytes.withUnsafeBytes { bytes in
          Result { () throws(Miss) in try Manifest(bytes) }
        }
        _ = try result.get()
        return nil
      } catch {
        return error
      }
    }
    #expect(read(bytes) == nil)
    for length in 0..<bytes.count { #expect(read(Array(bytes[..<length])) != nil, "\(length)") }
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 1 << UInt8(place % 8)
      let miss = read(damaged)
      #expect((8..<12).contains(place) ? miss?.code == "other-version" : miss == .corrupt, "byte \(place)")
    }
  }
}

import SealingTestSupport
import Testing

@testable import SessionStore

/// What somebody without the key does with a sealed file is found out.
@Suite struct ForgeryTests {
  private static let page = StoredSection.pageBytes
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// Two records of two pages, each page full of another byte.
  private func content(_ byte: UInt8) -> [[UInt8]] {
    (0..<2).map { record in
      (0..<2).flatMap { [UInt8](repeating: byte + 2 * record + $0, count: $0 == 0 ? Self.page : 700) }
    }
  }

  @Test(arguments: TestSeal.allCases)
  func `a manifest in which a bit changed is refused, or says the same`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal())
    let content = [Array("a conversation".utf8), []]
    try records.save(content, "a")
    let whole = try records.manifest("a")
    let outline = try Manifest(stored: whole)
    let box = try #require(outline.seal?.box)
    let first = Manifest.startBytes + 8
    var harmless = 0
    for index in whole.indices {
      var damaged = whole
      damaged[index] ^= 1 << UInt8(index % 8)
      try records.put(manifest: damaged, of: "a")
      guard case .failure = records.read("a") else {
        Issue.record("byte \(index) is not checked")
        continue
      }
      // With a checksum that fits.
      try records.put(manifest: SealedRecords.checked(damaged), of: "a")
      let isSealed = (first..<first + box.count).contains(index)
      switch records.read("a") {
      case .failure(let miss): #expect(!isSealed || miss == .corrupt, "byte \(index): \(miss)")
      case .success(let read):
        harmless += 1
        #expect(!isSealed && read == content, "byte \(index)")
      }
    }
    #expect(harmless < whole.count - box.count)
    try records.put(manifest: whole, of: "a")
    #expect(records.read("a") == .success(content))
  }

  @Test(arguments: TestSeal.allCases)
  func `a page in which a bit changed, or that lost or gained a byte, is refused`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal())
    let content = content(1)
    try records.save(content, "a")
    for page in try records.pages {
      let count = page.content.count
      let places = Array(0..<28) + Array(stride(from: 28, to: count, by: 997)) + Array(count - 16..<count)
      for index in places {
        var damaged = page.content
        damaged[index] ^= 1 << UInt8(index % 8)
        try records.put(damaged, in: page)
        #expect(records.read("a") == .failure(.corrupt), "byte \(index) of page \(page.place)")
      }
      for damaged in [Array(page.content.dropLast()), page.content + [0], [0]] {
        try records.put(damaged, in: page)
        #expect(records.read("a") == .failure(.corrupt))
      }
      try records.put(page.content, in: page)
    }
    #expect(records.read("a") == .success(content))
  }

  @Test(arguments: TestSeal.allCases)
  func `a page in another one's place is refused, whoever's it is`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal())
    let items = [(name: "a", tenant: ""), (name: "b", tenant: ""), (name: "a", tenant: "x")]
    for (index, item) in items.enumerated() {
      try records.save(content(10 * UInt8(index)), item.name, tenant: item.tenant)
    }
    let pages = try records.pages
    #expect(pages.count == 12)
    for (first, one) in pages.enumerated() {
      for (second, other) in pages.enumerated()
      where second != first && one.content.count == other.content.count {
        try records.put(other.content, in: one)
        // Items are numbered from 1 as they came.
        for (index, item) in items.enumerated() {
          let expected: Result<[[UInt8]], Miss> =
            index + 1 == Int(one.item) ? .failure(.corrupt) : .success(content(10 * UInt8(index)))
          #expect(records.read(item.name, tenant: item.tenant) == expected, "\(second) in place of \(first)")
        }
        try records.put(one.content, in: one)
      }
    }
  }

  @Test(arguments: TestSeal.allCases)
  func `a part of an earlier save that is put back is refused, and all of it is what it was`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal())
    let first = try records.save(content(1), "a")
    let (oldPages, oldManifest) = (try records.pages, try records.manifest("a"))
    let second = try records.save(content(50), "a", from: first)
    let (newPages, newManifest) = (try records.pages, try records.manifest("a"))
    for (old, new) in zip(oldPages, newPages) {
      try records.put(old.content, in: new)
      #expect(records.read("a") == .failure(.corrupt), "an earlier page")
      try records.put(new.content, in: new)
    }
    try records.put(manifest: oldManifest, of: "a")
    #expect(records.read("a") == .failure(.evicted), "an earlier manifest")
    // An earlier one that says it is the newest: the generation stands behind the seal and six empty texts, tokens and two times.
    var forged = try Manifest(stored: oldManifest)
    forged.generation = second.generation
    try records.put(manifest: forged.encoded, of: "a")
    #expect(records.read("a") == .failure(.corrupt), "an earlier manifest under the newest number")
    try records.put(manifest: oldManifest, of: "a")
    try records.run("UPDATE items SET generation = ?1", .integer(first.generation))
    #expect(records.read("a") == .failure(.corrupt), "an earlier manifest with the newest pages")
    for (old, new) in zip(oldPages, newPages) { try records.put(old.content, in: new) }
    #expect(records.read("a") == .success(content(1)), "a backup of all of it")
    try records.put(manifest: newManifest, of: "a")
    try records.run("UPDATE items SET generation = ?1", .integer(second.generation))
    for new in newPages { try records.put(new.content, in: new) }
    #expect(records.read("a") == .success(content(50)))
  }

  @Test(arguments: TestSeal.allCases)
  func `an item under another name, or another owner's, is refused`(seal: TestSeal) throws {
    let records = try SealedRecords(folder, seal.seal())
    try records.save(content(1), "a")
    for (column, value) in [("name", "b"), ("tenant", "x")] {
      try records.run("UPDATE items SET \(column) = ?1", .text(value))
      let (name, tenant) = column == "name" ? ("b", "") : ("a", "x")
      #expect(records.read(name, tenant: tenant) == .failure(.corrupt), "\(column)")
      try records.run("UPDATE items SET name = 'a', tenant = ''")
    }
    #expect(records.read("a") == .success(content(1)))
  }
}

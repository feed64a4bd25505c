package import KVCaches

/// Compares what is to be saved with what was saved before, and keeps copies of the pages that differ.
package struct ItemCapture: SectionSink {
  private let key: ItemKey
  private let previous: Manifest?
  private let hash: PageHash
  private let earlier: [SectionName: StoredSection]
  private var manifest: Manifest
  private var pages: [ItemChange.Page] = []
  private var cut: [(from: PagePlace, to: PagePlace)] = []
  private var nextNumber: Int
  /// The parts of the section that is written next; nil where it is one part.
  private var parts: [Int]?
  /// What becomes of the section that is written next.
  private var course = SectionCourse.changing
  private var growing: Set<Int> = []
  /// Bytes that were looked at.
  package private(set) var comparedBytes = 0

  /// - Parameters:
  ///   - manifest: what the item is now, without sections
  ///   - previous: what is known to be stored; nil writes everything
  ///   - first: the generation of an item that is written whole, which is no other's: a change that was made from what it
  ///     replaces must not fit it
  ///   - hash: the store's
  package init(
    _ key: ItemKey, _ manifest: Manifest, previous: Manifest?, first: Int64 = .random(in: 1 << 32...1 << 62),
    hash: PageHash = PageHash()
  ) {
    (self.key, self.previous, self.hash) = (key, previous, hash)
    self.manifest = manifest
    self.manifest.generation = previous.map { $0.generation + 1 } ?? first
    if let previous { self.manifest.created = previous.created }
    let sections = previous?.sections ?? []
    earlier = Dictionary(sections.map { ($0.name, $0) }) { first, _ in first }
    nextNumber = (sections.map(\.number).max() ?? -1) + 1
  }

  /// Takes what a cache remembers; sections that cannot have changed are not looked at.
  package mutating func take(_ cache: KVCache) throws {
    for listed in try cache.listing(sinceSavedAt: previous?.tokens) {
      if let section = earlier[listed.name], !listed.hasChanged {
        manifest.sections.append(section)
        continue
      }
      (parts, course) = (listed.parts, listed.course)
      try cache.write([listed.name], to: &self)
    }
    (parts, course) = (nil, .changing)
  }

  /// Takes a section.
  package mutating func write(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) {
    let before = earlier[name]
    let number = before?.number ?? nextNumber
    if before == nil { nextNumber += 1 }
    var section = StoredSection(name: name, number: number, parts: [])
    let firstPage = pages.count
    takeParts(bytes, of: &section, before)
    if before?.address != nil, section.parts != before?.parts {
      // What others have too stays as it is: this is another one, and all of it is new.
      pages.removeLast(pages.count - firstPage)
      section.parts = []
      takeParts(bytes, of: &section, nil)
    }
    for index in section.parts.count..<max(section.parts.count, before?.parts.count ?? 0) {
      cutPages(of: number, index, from: 0)
    }
    if course == .settled { section.address = SectionAddress(section, manifest.fingerprint) }
    if course == .growing { growing.insert(number) }
    comparedBytes += bytes.count
    manifest.sections.append(section)
  }

  private mutating func takeParts(
    _ bytes: UnsafeRawBufferPointer, of section: inout StoredSection, _ before: StoredSection?
  ) {
    var first = 0
    for (index, length) in (parts ?? [bytes.count]).enumerated() {
      let old = before.flatMap { $0.parts.indices.contains(index) ? $0.parts[index] : nil }
      let part = UnsafeRawBufferPointer(rebasing: bytes[first..<first + length])
      section.parts.append(take(part, of: section.number, index, old))
      first += length
    }
    assert(first == bytes.count, "parts that are not the section")
  }

  private mutating func take(
    _ bytes: UnsafeRawBufferPointer, of section: Int, _ part: Int, _ old: StoredSection.Part?
  ) -> StoredSection.Part {
    let count = StoredSection.pages(ofBytes: bytes.count)
    var result = StoredSection.Part(bytes: bytes.count, hashes: [])
    result.hashes.reserveCapacity(count)
    for page in 0..<count {
      let range = StoredSection.range(ofPage: page, partBytes: bytes.count)
      let content = UnsafeRawBufferPointer(rebasing: bytes[range])
      let hash = self.hash.hash(content)
      result.hashes.append(hash)
      if let old, page < old.hashes.count, old.hashes[page] == hash,
        StoredSection.range(ofPage: page, partBytes: old.bytes).count == content.count
      {
        continue
      }
      pages.append(
        ItemChange.Page(place: PagePlace(section: section, part: part, page: page), bytes: Array(content)))
    }
    if let old, old.hashes.count > count { cutPages(of: section, part, from: count) }
    return result
  }

  private mutating func cutPages(of section: Int, _ part: Int, from page: Int) {
    cut.append(
      (PagePlace(section: section, part: part, page: page), PagePlace(section: section, part: part, page: 0xffff)))
  }

  /// Leaves all sections as they are stored that were not written anew.
  package mutating func keepOthers() {
    let written = Set(manifest.sections.map(\.name))
    manifest.sections += (previous?.sections ?? []).filter { !written.contains($0.name) }
  }

  /// All that has to be written.
  package consuming func change() -> ItemChange {
    let kept = Set(manifest.sections.map(\.number))
    let dropped = (previous?.sections ?? []).map(\.number).filter { !kept.contains($0) }
    return ItemChange(
      key: key, manifest: manifest, base: previous?.generation, pages: pages, dropped: dropped, cut: cut,
      growing: growing)
  }
}

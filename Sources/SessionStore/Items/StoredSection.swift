package import KVCaches

/// How a section lies in a store: in parts, each cut into pages.
///
/// A part is what grows or changes by itself, such as the keys of one head in a block of slots. Pages are compared, written
/// and checked one by one.
package struct StoredSection: Sendable, Hashable {
  /// The most bytes of a page: with what SQLite keeps beside it one fills a database page of 16 KiB.
  package static let pageBytes = (16 << 10) - 128

  package struct Part: Sendable, Hashable {
    package var bytes: Int
    /// `PageHash` of each page.
    package var hashes: [UInt64]
  }

  package let name: SectionName
  /// A number that stays with the section as long as the item has it.
  package let number: Int
  package var parts: [Part]
  /// By what items of one owner share it, where it is settled; nil where it is the item's alone.
  package var address: SectionAddress?
  /// Bytes from the start of a page to that of the next: `pageBytes`, and in a sealed tier what sealing adds.
  var pageStride = Self.pageBytes

  package init(name: SectionName, number: Int, parts: [Part], address: SectionAddress? = nil) {
    (self.name, self.number, self.parts, self.address) = (name, number, parts, address)
  }

  package var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }

  static func pages(ofBytes bytes: Int, stride: Int = pageBytes) -> Int { (bytes + stride - 1) / stride }

  /// The bytes of a page within its part.
  static func range(ofPage page: Int, partBytes: Int, stride: Int = pageBytes) -> Range<Int> {
    page * stride..<min(partBytes, (page + 1) * stride)
  }

  /// Calls `body` with the place of each page and where it lies in the section.
  package func forEachPage(_ body: (PagePlace, Range<Int>, UInt64) throws -> Void) rethrows {
    var first = 0
    for (index, part) in parts.enumerated() {
      for (page, hash) in part.hashes.enumerated() {
        let range = Self.range(ofPage: page, partBytes: part.bytes, stride: pageStride)
        try body(
          PagePlace(section: number, part: index, page: page), first + range.lowerBound..<first + range.upperBound, hash
        )
      }
      first += part.bytes
    }
  }
}

/// Where a page belongs in an item.
package struct PagePlace: Sendable, Hashable {
  package let section: Int
  let part: Int
  let page: Int

  /// One number, in the order of the section's bytes.
  package var number: Int64 { Int64(section) << 32 | Int64(part) << 16 | Int64(page) }

  /// The same within the section.
  package var numberInSection: Int64 { number & 0xffff_ffff }

  /// The numbers of all pages of a section.
  static func numbers(ofSection section: Int) -> ClosedRange<Int64> {
    Int64(section) << 32...(Int64(section) << 32 | 0xffff_ffff)
  }
}

extension SectionName {
  /// What an item keeps beside its cache, such as a conversation; it belongs to no layer.
  package static func record(_ name: String) -> SectionName {
    SectionName(group: -1, layer: -1, state: name, block: 0)
  }

  var isRecord: Bool { group < 0 }

  var isCounters: Bool { group >= 0 && layer < 0 }
}

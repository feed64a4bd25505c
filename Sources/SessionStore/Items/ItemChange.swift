/// What a save writes: the pages that differ from those of the save before, and the new manifest.
package struct ItemChange: Sendable {
  package struct Page: Sendable {
    package let place: PagePlace
    package let bytes: [UInt8]
  }

  package let key: ItemKey
  package let manifest: Manifest
  /// The generation that the change was made from; nil replaces whatever is there.
  package let base: Int64?
  package let pages: [Page]
  /// Sections that the item had and has no longer.
  let dropped: [Int]
  /// Where parts became shorter: pages from here to the part's end are void.
  let cut: [(from: PagePlace, to: PagePlace)]
  /// Sections that will settle; a tier may keep them where they can be shared then.
  var growing: Set<Int> = []
  /// Whether what is shared is written although it is there, since it was found damaged.
  package var rewrites = false
  /// By what the item is found beside its name, in place of all such marks that it had; nil leaves them. Of items of a tenant
  /// that have a mark in common the one that was saved last is found.
  package var marks: [Int64]?
  /// The number of the lease under which it was made; nil where there was none.
  package var token: Int64?

  /// The numbers of pages that stood beside the item and do not any more, for tiers that find no ranges of them; those of sections
  /// that can be shared stand elsewhere.
  ///
  /// - Parameter manifest: the bytes of the one that is there; nil or damaged gives none
  package func places(goneFrom manifest: [UInt8]?) -> [Int64] {
    guard let manifest, let before = try? Manifest(stored: manifest) else { return [] }
    var (gone, kept): (Set<Int64>, Set<Int64>) = ([], [])
    for section in before.sections where section.address == nil {
      section.forEachPage { place, _, _ in gone.insert(place.number) }
    }
    for section in self.manifest.sections where section.address == nil {
      section.forEachPage { place, _, _ in kept.insert(place.number) }
    }
    return gone.subtracting(kept).sorted()
  }

  /// Bytes that are written.
  package var bytes: Int { pages.reduce(0) { $0 + $1.bytes.count } }
}

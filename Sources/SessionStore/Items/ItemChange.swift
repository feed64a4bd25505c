/// What a save writes: the pages that differ from those of the save before, and the new manifest.
package struct ItemChange: Sendable {
  package struct Page: Sendable {
    let place: PagePlace
    let bytes: [UInt8]
  }

  package let key: ItemKey
  package let manifest: Manifest
  /// The generation that the change was made from; nil replaces whatever is there.
  let base: Int64?
  let pages: [Page]
  /// Sections that the item had and has no longer.
  let dropped: [Int]
  /// Where parts became shorter: pages from here to the part's end are void.
  let cut: [(from: PagePlace, to: PagePlace)]

  /// Bytes that are written.
  package var bytes: Int { pages.reduce(0) { $0 + $1.bytes.count } }
}

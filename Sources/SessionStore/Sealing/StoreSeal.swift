import KVCaches

/// All that follows from a store's key: what seals, and hashes that tell nobody else what they are of.
package struct StoreSeal: Sendable {
  let sealer: any Sealer
  let mark: SealMark
  /// Of pages, in sealed manifests.
  package let pageHash: PageHash
  private let addressHash: KeyedHash
  private let finderHash: KeyedHash

  /// - Parameter makeSealer: makes what seals from a key of 32 bytes
  package init(_ key: SessionKey, _ makeSealer: ([UInt8]) -> any Sealer) {
    let derive = { (purpose: String, count: Int) in
      KeyedHash.derive(from: key.bytes, for: Array("sluice sessions 1: \(purpose)".utf8), count: count)
    }
    sealer = makeSealer(derive("pages and manifests", 32))
    mark = SealMark(bytes: derive("the key's mark", SealMark.byteCount))
    pageHash = PageHash(secret: derive("hashes of pages", 32))
    addressHash = KeyedHash(key: derive("addresses of sections", 32))
    finderHash = KeyedHash(key: derive("marks of items", 32))
  }

  /// With AES-GCM.
  ///
  /// - Throws: an error of one line where the program was built without it.
  init(_ key: SessionKey) throws {
    #if Sealing
      self.init(key) { AESSealer(key: $0) }
    #else
      throw SessionKeyError.notBuilt
    #endif
  }

  /// The address of what an owner's items share.
  func address(_ address: SectionAddress, of owner: String) -> SectionAddress {
    var writer = SectionWriter()
    writer.write(owner)
    writer.write(address.high)
    writer.write(address.low)
    return SectionAddress(digest: addressHash.hash(writer.bytes))
  }

  /// The number by which an item is found in place of a hash of what it says.
  func finder(_ mark: Int64) -> Int64 {
    var writer = SectionWriter()
    writer.write(mark)
    return finderHash.hash(writer.bytes).prefix(8).reduce(0) { $0 << 8 | Int64($1) }
  }

  /// Where a page belongs: in the sections of this name of an owner's items, at this place. Which of them it is of, and when, say the
  /// hashes in the sealed manifest.
  func place(ofPage place: PagePlace, _ section: SectionName, of owner: String) -> [UInt8] {
    var writer = SectionWriter()
    writer.write("page")
    writer.write(owner)
    writer.write(section)
    writer.write(place.numberInSection)
    return writer.bytes
  }

  /// Where a manifest belongs: to one save of one item.
  func place(ofManifest generation: Int64, _ key: ItemKey) -> [UInt8] {
    var writer = SectionWriter()
    writer.write("manifest")
    writer.write(key.tenant)
    writer.write(key.name)
    writer.write(generation)
    return writer.bytes
  }
}

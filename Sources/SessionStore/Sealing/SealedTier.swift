import KVCaches

/// A tier whose items are sealed before they get there: pages, and of a manifest all that the tier need not know.
///
/// The tier still knows names, owners, sizes, times, pins, generations, and which sections have settled; what it finds items and
/// shared blocks by are keyed hashes. A page that was changed, or stands where it was not sealed for, is found out as it is opened; one of
/// another item or of an earlier save by its hash in the manifest, which is sealed for its item and generation. An item that is put
/// back whole, as from a backup, is what it was then.
package final class SealedTier: StorageTier {
  private let under: any StorageTier
  let seal: StoreSeal

  package init(_ under: any StorageTier, _ seal: StoreSeal) { (self.under, self.seal) = (under, seal) }

  private var overhead: Int { seal.sealer.overhead }

  // What a tier gets.

  /// A section as it lies in the tier.
  private func sealed(_ section: StoredSection, of owner: String) -> StoredSection {
    let parts = section.parts.map { part in
      StoredSection.Part(
        bytes: part.bytes + part.hashes.count * overhead, hashes: [UInt64](repeating: 0, count: part.hashes.count))
    }
    var result = StoredSection(
      name: SectionName(group: 0, layer: 0, state: "", block: 0), number: section.number, parts: parts,
      address: section.address.map { seal.address($0, of: owner) })
    result.pageStride = StoredSection.pageBytes + overhead
    return result
  }

  private func sealed(_ manifest: Manifest, of key: ItemKey, box: [UInt8]) -> Manifest {
    var outline = Manifest(
      fingerprint: Fingerprint(model: "", tokenizer: "", cache: ""), plan: "", slotType: "", modelName: "", tokens: 0,
      created: 0, saved: manifest.saved, generation: manifest.generation)
    outline.sections = manifest.sections.map { sealed($0, of: key.owner) }
    outline.seal = Manifest.Seal(mark: seal.mark, overhead: overhead, box: box)
    return outline
  }

  private func box(_ manifest: [UInt8], _ generation: Int64, of key: ItemKey) -> [UInt8] {
    manifest.withUnsafeBytes { seal.sealer.seal($0, for: seal.place(ofManifest: generation, key)) }
  }

  /// - Parameter isOutline: leaves what need not be known of its size out
  private func sealed(_ change: ItemChange, isOutline: Bool = false) -> ItemChange {
    let (key, manifest) = (change.key, change.manifest)
    let names = Dictionary(manifest.sections.map { ($0.number, $0.name) }) { first, _ in first }
    var pages: [ItemChange.Page] = []
    for page in isOutline ? [] : change.pages {
      guard let name = names[page.place.section] else { continue }
      let place = seal.place(ofPage: page.place, name, of: key.owner)
      let bytes = page.bytes.withUnsafeBytes { seal.sealer.seal($0, for: place) }
      pages.append(ItemChange.Page(place: page.place, bytes: bytes))
    }
    let box = isOutline ? [] : box(manifest.encoded, manifest.generation, of: key)
    return ItemChange(
      key: key, manifest: sealed(manifest, of: key, box: box), base: change.base, pages: pages,
      dropped: change.dropped, cut: change.cut, growing: change.growing, rewrites: change.rewrites,
      marks: change.marks?.map { seal.finder($0) }, token: change.token)
  }

  package func growth(with change: ItemChange) throws(TierError) -> Int {
    try under.growth(with: sealed(change, isOutline: true))
  }

  package func apply(_ change: ItemChange) throws(TierError) -> Int { try under.apply(sealed(change)) }

  package func copy(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    guard key.owner == other.owner else { throw .failed("a sealed session cannot be copied to another owner") }
    try under.copy(key, to: other, at: seconds) { [self] (bytes) throws(TierError) in
      var outline = try outline(bytes)
      var inner = try open(outline, of: key)
      if let relabel { inner = try relabel(inner) }
      outline.seal?.box = box(inner, outline.generation, of: other)
      return outline.encoded
    }
  }

  // What comes back.

  private func outline(_ bytes: [UInt8]) throws(TierError) -> Manifest {
    if let mismatch = SealMismatch(of: seal.mark, with: bytes) { throw .sealed(mismatch) }
    return try Manifest(stored: bytes)
  }

  /// The bytes of the manifest that an outline has sealed in it.
  private func open(_ outline: Manifest, of key: ItemKey) throws(TierError) -> [UInt8] {
    guard let box = outline.seal?.box, box.count >= overhead else { throw .corrupt("a manifest") }
    var bytes = [UInt8](repeating: 0, count: box.count - overhead)
    let place = seal.place(ofManifest: outline.generation, key)
    let isWhole = bytes.withUnsafeMutableBytes { target in
      box.withUnsafeBytes { seal.sealer.open($0, for: place, into: target) }
    }
    guard isWhole else { throw .corrupt("a manifest is not what was sealed") }
    return bytes
  }

  package func manifest(of key: ItemKey) throws(TierError) -> [UInt8]? {
    guard let bytes = try under.manifest(of: key) else { return nil }
    return try open(outline(bytes), of: key)
  }

  package func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    let plain = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, section.bytes), alignment: 64)
    defer { plain.deallocate() }
    let stored = sealed(section, of: key.owner)
    var ranges: [Range<Int>] = []
    section.forEachPage { _, range, _ in ranges.append(range) }
    var isWhole = false
    try under.read(stored, of: key, generation: generation) { bytes in
      guard bytes.count == stored.bytes else { return }
      isWhole = true
      var targets = ranges.makeIterator()
      stored.forEachPage { place, range, _ in
        guard isWhole, let target = targets.next() else { return }
        isWhole = seal.sealer.open(
          UnsafeRawBufferPointer(rebasing: bytes[range]), for: seal.place(ofPage: place, section.name, of: key.owner),
          into: UnsafeMutableRawBufferPointer(rebasing: plain[target]))
      }
    }
    guard isWhole else { throw .corrupt("a page is not what was sealed") }
    body(UnsafeRawBufferPointer(start: plain.baseAddress, count: section.bytes))
  }

  package func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName? {
    let finders = marks.map { seal.finder($0) }
    guard let found = try under.name(marked: finders, of: tenant), let index = finders.firstIndex(of: found.mark) else {
      return nil
    }
    return MarkedName(name: found.name, mark: marks[index])
  }

  // What is not sealed.

  package var name: String { under.name }
  package var byteLimit: Int { under.byteLimit }
  package var isShared: Bool { under.isShared }
  package func bytes() throws(TierError) -> Int { try under.bytes() }
  package func items() throws(TierError) -> [TierItem] { try under.items() }
  package func item(_ key: ItemKey) throws(TierError) -> TierItem? { try under.item(key) }
  package func startOfAnyManifest() throws(TierError) -> [UInt8]? { try under.startOfAnyManifest() }
  package func remove(_ key: ItemKey, because reason: Departure) throws(TierError) {
    try under.remove(key, because: reason)
  }
  package func departure(of key: ItemKey) throws(TierError) -> Departure? { try under.departure(of: key) }
  package func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError) { try under.noteUse(of: key, at: seconds) }
  package func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError) { try under.setPinned(isPinned, key) }
  package func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    try under.lease(key, to: owner, milliseconds: milliseconds)
  }
  package func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool {
    try under.renewLease(lease, milliseconds: milliseconds)
  }
  package func endLease(_ lease: Lease) throws(TierError) { try under.endLease(lease) }
}

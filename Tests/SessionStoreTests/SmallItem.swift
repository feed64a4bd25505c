@testable import SessionStore

/// An item of records only, whose bytes follow from its name and generation.
struct SmallItem {
  let key: ItemKey
  var manifest: Manifest?

  init(_ name: String, tenant: String = "") { key = ItemKey(tenant: tenant, name: name) }

  /// The change that brings records of these lengths, each full of one byte.
  func change(
    _ lengths: [Int], byte: UInt8 = 7, saved: Int64 = 1_000_000, whole: Bool = false, hash: PageHash = PageHash()
  ) -> ItemChange {
    let head = Manifest(
      fingerprint: StoredCache.fingerprint, plan: "full", slotType: "f16", modelName: "tiny", tokens: 3,
      created: saved, saved: saved)
    var capture = ItemCapture(key, head, previous: whole ? nil : manifest, hash: hash)
    for (index, length) in lengths.enumerated() {
      [UInt8](repeating: byte, count: length).withUnsafeBytes { capture.write(.record("r\(index)"), $0) }
    }
    return capture.change()
  }

  mutating func put(_ lengths: [Int], byte: UInt8 = 7, whole: Bool = false, into tier: any StorageTier) throws {
    let change = change(lengths, byte: byte, whole: whole)
    try tier.apply(change)
    manifest = change.manifest
  }

  /// The records as a tier has them.
  func records(in tier: any StorageTier) throws -> [[UInt8]] {
    guard let manifest else { return [] }
    var records: [[UInt8]] = []
    for section in manifest.sections {
      try tier.read(section, of: key, generation: manifest.generation) { records.append(Array($0)) }
    }
    return records
  }
}

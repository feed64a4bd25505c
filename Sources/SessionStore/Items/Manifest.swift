package import KVCaches
import Kernels

/// What an item is and where its parts lie.
package struct Manifest: Sendable, Hashable {
  /// The newest version: 2 has addresses of sections and is written where there are any, 3 is that of sealed items.
  static let version = 3
  static let magic: [UInt8] = Array("SLUICEIT".utf8)

  package var fingerprint: Fingerprint
  /// What users read of the cache: plan and number format.
  package var plan: String
  package var slotType: String
  /// The model's name, for people.
  package var modelName: String
  /// Tokens of the stream.
  package var tokens: Int64
  /// When it was first saved, and last, in seconds since 1970.
  package var created: Int64
  package var saved: Int64
  /// Counts the saves of the item; a change applies to the one that it was made from.
  package internal(set) var generation: Int64
  package var sections: [StoredSection] = []
  /// In a sealed tier the manifest itself: what stands beside it is then only what the tier has to know. Nil elsewhere.
  var seal: Seal?

  package init(
    fingerprint: Fingerprint, plan: String, slotType: String, modelName: String, tokens: Int64, created: Int64,
    saved: Int64, generation: Int64 = 0
  ) {
    (self.fingerprint, self.plan, self.slotType, self.modelName) = (fingerprint, plan, slotType, modelName)
    (self.tokens, self.created, self.saved, self.generation) = (tokens, created, saved, generation)
  }

  /// Bytes of all sections.
  package var bytes: Int { sections.reduce(0) { $0 + $1.bytes } }

  /// Whether a memory was saved with it, be it empty.
  package var hasMemory: Bool { sections.contains { !$0.name.isRecord } }

  package func section(_ name: SectionName) -> StoredSection? { sections.first { $0.name == name } }

  /// Magic, version, then the rest with its CRC-32C at the end, little-endian.
  package var encoded: [UInt8] {
    var writer = SectionWriter()
    Self.magic.withUnsafeBytes { writer.write($0) }
    let hasAddresses = seal != nil || sections.contains { $0.address != nil }
    writer.write(UInt32(seal != nil ? 3 : hasAddresses ? 2 : 1))
    seal?.write(to: &writer)
    for text in [fingerprint.model, fingerprint.tokenizer, fingerprint.cache, plan, slotType, modelName] {
      writer.write(text)
    }
    for number in [tokens, created, saved, generation] { writer.write(number) }
    writer.write(UInt32(sections.count))
    for section in sections {
      writer.write(section.name)
      writer.write(UInt32(section.number))
      writer.write(UInt32(section.parts.count))
      for part in section.parts {
        writer.write(UInt64(part.bytes))
        if seal == nil { for hash in part.hashes { writer.write(hash) } }
      }
      guard hasAddresses else { continue }
      writer.write(UInt8(section.address == nil ? 0 : 1))
      if let address = section.address {
        writer.write(address.high)
        writer.write(address.low)
      }
    }
    writer.write(writer.bytes.withUnsafeBytes { Checksum.crc32c($0) })
    return writer.bytes
  }

  /// - Throws: `Miss` where it is damaged or of another version.
  package init(_ bytes: UnsafeRawBufferPointer) throws(Miss) {
    let head = Self.magic.count + 4
    guard bytes.count >= head + 4, bytes.prefix(Self.magic.count).elementsEqual(Self.magic) else { throw .corrupt }
    let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: Self.magic.count, as: UInt32.self))
    guard (1...UInt32(Self.version)).contains(version) else { throw .otherVersion(Int(version)) }
    let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
    let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
    guard Checksum.crc32c(content) == checksum else { throw .corrupt }
    do {
      var reader = SectionReader(UnsafeRawBufferPointer(rebasing: content[head...]))
      seal = version == 3 ? try Seal(&reader) : nil
      fingerprint = Fingerprint(
        model: try reader.readText(), tokenizer: try reader.readText(), cache: try reader.readText())
      (plan, slotType, modelName) = (try reader.readText(), try reader.readText(), try reader.readText())
      (tokens, created, saved, generation) = (
        try reader.read(), try reader.read(), try reader.read(), try reader.read()
      )
      sections = try Self.readSections(&reader, haveAddresses: version > 1, seal)
      guard reader.remaining == 0, tokens >= 0 else { throw Miss.corrupt }
    } catch {
      throw .corrupt
    }
  }

  private static func readSections(
    _ reader: inout SectionReader, haveAddresses: Bool, _ seal: Seal?
  ) throws -> [StoredSection] {
    var sections: [StoredSection] = []
    var sealedPages = 0
    for _ in 0..<(try reader.read(UInt32.self)) {
      let name = try reader.readName()
      let number = Int(try reader.read(UInt32.self))
      var parts: [StoredSection.Part] = []
      for _ in 0..<(try reader.read(UInt32.self)) {
        let bytes = try reader.read(UInt64.self)
        if let seal {
          guard bytes < 1 << 40 else { throw Miss.corrupt }
          let pages = StoredSection.pages(ofBytes: Int(bytes), stride: seal.pageStride)
          sealedPages += pages
          guard sealedPages <= Seal.mostPages else { throw Miss.corrupt }
          parts.append(StoredSection.Part(bytes: Int(bytes), hashes: [UInt64](repeating: 0, count: pages)))
          continue
        }
        // Each page has a hash here, so what is claimed is bounded by what is there.
        guard bytes <= UInt64(reader.remaining / 8 * StoredSection.pageBytes) else { throw Miss.corrupt }
        var hashes: [UInt64] = []
        for _ in 0..<StoredSection.pages(ofBytes: Int(bytes)) { hashes.append(try reader.read()) }
        parts.append(StoredSection.Part(bytes: Int(bytes), hashes: hashes))
      }
      var section = StoredSection(name: name, number: number, parts: parts)
      if let seal { section.pageStride = seal.pageStride }
      if haveAddresses, try reader.read(UInt8.self) == 1 {
        section.address = SectionAddress(high: try reader.read(), low: try reader.read())
      }
      sections.append(section)
    }
    return sections
  }
}

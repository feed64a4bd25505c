import Kernels

/// All sections of a cache in one array of bytes.
extension KVCache {
  private static let magic: [UInt8] = Array("SLUICEKV".utf8)
  private static let version: UInt32 = 3

  /// The whole state of the cache as bytes: taken up by a cache of the same plan it gives the same next token.
  ///
  /// Magic, version, the length of a header, the header and its CRC-32C, then the sections: counters, and layer by layer the
  /// used slots of every stage as they lie in memory and what states keep. The header says what the cache is, and of each
  /// section its name, length and CRC-32C. All little-endian. A bounded cache has a bounded snapshot.
  public func snapshot() -> [UInt8] {
    arrival?.waitForAll()
    precondition(failure == nil, "a cache whose snapshot did not come whole")
    let names = sections()
    var (header, payload) = (SectionWriter(), SectionWriter())
    payload.reserve(bytes + 1024)
    header.write(identity)
    header.write(UInt32(names.count))
    for name in names {
      let first = payload.bytes.count
      write(name, to: &payload)
      header.write(name)
      header.write(UInt64(payload.bytes.count - first))
      header.write(payload.bytes[first...].withUnsafeBytes { Checksum.crc32c($0) })
    }
    var writer = SectionWriter()
    writer.reserve(Self.magic.count + 12 + header.bytes.count + payload.bytes.count)
    Self.magic.withUnsafeBytes { writer.write($0) }
    writer.write(Self.version)
    writer.write(UInt32(header.bytes.count))
    header.bytes.withUnsafeBytes { writer.write($0) }
    writer.write(header.bytes.withUnsafeBytes { Checksum.crc32c($0) })
    payload.bytes.withUnsafeBytes { writer.write($0) }
    return writer.bytes
  }

  /// Takes up the state of a snapshot; the cache is unchanged where that fails.
  ///
  /// - Throws: `KVCacheError` where the snapshot is damaged, or of another version, plan, model shape or slot type.
  public func restore(_ snapshot: [UInt8]) throws(KVCacheError) {
    // Typed throws do not pass through `withUnsafeBytes`.
    let result: Result<Void, KVCacheError> = snapshot.withUnsafeBytes { bytes in
      Result { () throws(KVCacheError) in try self.restore(bytes) }
    }
    try result.get()
  }

  private func restore(_ snapshot: UnsafeRawBufferPointer) throws(KVCacheError) {
    guard snapshot.count >= Self.magic.count + 4, snapshot.prefix(Self.magic.count).elementsEqual(Self.magic) else {
      throw .badSnapshot("this is not a cache snapshot")
    }
    var reader = SectionReader(UnsafeRawBufferPointer(rebasing: snapshot[Self.magic.count...]))
    let version = try reader.read(UInt32.self)
    guard version == Self.version else { throw .badSnapshot("version \(version), this program reads \(Self.version)") }
    let header = try reader.take(Int(try reader.read(UInt32.self)))
    guard try reader.read(UInt32.self) == Checksum.crc32c(header) else {
      throw .badSnapshot("the checksum of its header is wrong, it is damaged")
    }
    let entries = try entries(of: header)
    let payload = reader.remaining
    var sections: [(name: SectionName, bytes: UnsafeRawBufferPointer)] = []
    for entry in entries {
      let bytes = try reader.take(entry.length)
      guard Checksum.crc32c(bytes) == entry.checksum else {
        throw .badSnapshot("the checksum of \(entry.name) is wrong, it is damaged")
      }
      sections.append((entry.name, bytes))
    }
    guard reader.remaining == 0 else { throw .badSnapshot("\(reader.remaining) bytes follow its last section") }
    var counters: [UnsafeRawBufferPointer] = []
    for name in groups.indices.map(SectionName.counters(ofGroup:)) {
      guard let index = sections.firstIndex(where: { $0.name == name }) else {
        throw .badSnapshot("\(name) are missing")
      }
      counters.append(sections.remove(at: index).bytes)
    }
    let restoration = try Restoration(self, counters: counters, payload: payload)
    for section in sections { try restoration.take(section.name, section.bytes) }
    try restoration.finish()
  }

  private struct Entry {
    var name: SectionName
    var length: Int
    var checksum: UInt32
  }

  private func entries(of header: UnsafeRawBufferPointer) throws(KVCacheError) -> [Entry] {
    var reader = SectionReader(header)
    let identity = try reader.readText()
    guard identity == self.identity else {
      throw .badSnapshot("it belongs to '\(identity)', this cache is '\(self.identity)'")
    }
    let count = Int(try reader.read(UInt32.self))
    guard count <= reader.remaining / 16 else { throw .badSnapshot("its header claims \(count) sections") }
    var entries: [Entry] = []
    for _ in 0..<count {
      let name = try reader.readName()
      let length = try reader.read(UInt64.self)
      guard length <= UInt64(Int.max) else { throw .badSnapshot("\(name) claims \(length) bytes") }
      entries.append(Entry(name: name, length: Int(length), checksum: try reader.read()))
    }
    guard reader.remaining == 0 else { throw .badSnapshot("its header is too long") }
    return entries
  }
}

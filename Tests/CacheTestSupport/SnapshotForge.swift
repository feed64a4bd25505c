/// A snapshot taken apart, and put together again with lengths and checksums that are right for what it was made, as an
/// attacker would.
package struct SnapshotForge {
  /// A section, and what the header says of it.
  package struct Section: Equatable {
    package var group: UInt32
    package var layer: Int32
    package var block: UInt32
    package var state: String
    package private(set) var bytes: [UInt8]
    package private(set) var checksum: UInt32
    /// The length in the header where it is a lie.
    package var claimedLength: UInt64?

    package init(group: UInt32 = 0, layer: Int32, block: UInt32 = 0, state: String, bytes: [UInt8]) {
      (self.group, self.layer, self.block, self.state, self.bytes) = (group, layer, block, state, bytes)
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Puts other bytes in the place of all.
    package mutating func set(_ bytes: [UInt8]) {
      self.bytes = bytes
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Puts a little-endian number in the place of some bytes.
    package mutating func write(_ value: some FixedWidthInteger, at offset: Int) {
      bytes.replaceSubrange(offset..<offset + value.bitWidth / 8, with: ByteList(value).bytes)
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Whether it holds the counters of a group.
    package var isCounters: Bool { layer == -1 }
  }

  /// A counter of a group: the token count, or one of a stage.
  private struct Counter {
    var section: Int
    var offset: Int
  }

  package var version: UInt32 = 3
  package var identity: String
  package var sections: [Section] = []
  private var counterPlaces: [Counter] = []

  /// Takes a whole snapshot apart; its checksums are believed.
  package init(_ snapshot: [UInt8]) {
    var reader = ByteList(snapshot)
    reader.offset = 12
    let headerEnd = 16 + Int(reader.take(UInt32.self))
    identity = reader.takeText()
    let count = reader.take(UInt32.self)
    var payload = headerEnd + 4
    for _ in 0..<count {
      let (group, layer) = (reader.take(UInt32.self), reader.take(Int32.self))
      let (block, state) = (reader.take(UInt32.self), reader.takeText())
      let length = Int(reader.take(UInt64.self))
      _ = reader.take(UInt32.self)
      let bytes = Array(snapshot[payload..<payload + length])
      sections.append(Section(group: group, layer: layer, block: block, state: state, bytes: bytes))
      payload += length
    }
    precondition(reader.offset == headerEnd && payload == snapshot.count, "a snapshot of version 3")
    findCounters()
  }

  private mutating func findCounters() {
    for (section, contents) in sections.enumerated() where contents.isCounters {
      var reader = ByteList(contents.bytes)
      counterPlaces.append(Counter(section: section, offset: 0))
      reader.offset = 8
      for _ in 0..<reader.take(UInt32.self) {
        for _ in 0..<reader.take(UInt32.self) {
          counterPlaces.append(Counter(section: section, offset: reader.offset))
          reader.offset += 8
        }
      }
    }
  }

  /// All counters, group by group: the token count, then those of every stage.
  package var counters: Range<Int> { counterPlaces.indices }

  package func counter(_ index: Int) -> Int64 {
    var reader = ByteList(sections[counterPlaces[index].section].bytes)
    reader.offset = counterPlaces[index].offset
    return reader.take(Int64.self)
  }

  /// The snapshot with other counters, given by index.
  package func with(_ changes: [Int: Int64]) -> [UInt8] {
    changes.reduce(into: self) { forged, change in
      let place = counterPlaces[change.key]
      forged.sections[place.section].write(change.value, at: place.offset)
    }.snapshot
  }

  /// The snapshot with another number of tokens that ever entered, in all groups.
  package func with(tokenCount: Int64) -> [UInt8] {
    with(Dictionary(uniqueKeysWithValues: counters.filter { counterPlaces[$0].offset == 0 }.map { ($0, tokenCount) }))
  }

  /// All bytes.
  package var snapshot: [UInt8] {
    var header = ByteList()
    header.append(identity)
    header.append(UInt32(sections.count))
    for section in sections {
      header.append(section.group)
      header.append(section.layer)
      header.append(section.block)
      header.append(section.state)
      header.append(section.claimedLength ?? UInt64(section.bytes.count))
      header.append(section.checksum)
    }
    return snapshot(header: header.bytes)
  }

  /// All bytes, with a header under a right checksum, whatever it says.
  package func snapshot(header: [UInt8]) -> [UInt8] {
    var list = ByteList(Array("SLUICEKV".utf8))
    list.append(version)
    list.append(UInt32(header.count))
    list.bytes += header
    list.append(Self.crc32c(header))
    return sections.reduce(into: list.bytes) { $0 += $1.bytes }
  }

  /// CRC-32C bit by bit, apart from the table in the sources.
  package static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
  }
}

/// Little-endian fields one after another, apart from the reader and the writer in the sources.
package struct ByteList {
  package var bytes: [UInt8] = []
  package var offset = 0

  package init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  package init(_ value: some FixedWidthInteger) { append(value) }

  package mutating func append(_ value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  package mutating func append(_ text: String) {
    append(UInt32(text.utf8.count))
    bytes += text.utf8
  }

  package mutating func take<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
    defer { offset += type.bitWidth / 8 }
    return bytes[offset..<offset + type.bitWidth / 8].reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }

  package mutating func takeText() -> String {
    let count = Int(take(UInt32.self))
    defer { offset += count }
    return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
  }
}

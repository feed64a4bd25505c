import KVCaches

/// A snapshot taken apart, and put together again with lengths and checksums that are right for what it was made, as an
/// attacker would.
struct SnapshotForge {
  /// A section, and what the header says of it.
  struct Section: Equatable {
    var group: UInt32
    var layer: Int32
    var block: UInt32
    var state: String
    private(set) var bytes: [UInt8]
    private(set) var checksum: UInt32
    /// The length in the header where it is a lie.
    var claimedLength: UInt64?

    init(group: UInt32 = 0, layer: Int32, block: UInt32 = 0, state: String, bytes: [UInt8]) {
      (self.group, self.layer, self.block, self.state, self.bytes) = (group, layer, block, state, bytes)
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Puts other bytes in the place of all.
    mutating func set(_ bytes: [UInt8]) {
      self.bytes = bytes
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Puts a little-endian number in the place of some bytes.
    mutating func write(_ value: some FixedWidthInteger, at offset: Int) {
      bytes.replaceSubrange(offset..<offset + value.bitWidth / 8, with: ByteList(value).bytes)
      checksum = SnapshotForge.crc32c(bytes)
    }

    /// Whether it holds the counters of a group.
    var isCounters: Bool { layer == -1 }
  }

  /// A counter of a group: the token count, or one of a stage.
  private struct Counter {
    var section: Int
    var offset: Int
  }

  var version: UInt32 = 3
  var identity: String
  var sections: [Section] = []
  private var counterPlaces: [Counter] = []

  /// Takes a whole snapshot apart; its checksums are believed.
  init(_ snapshot: [UInt8]) {
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
  var counters: Range<Int> { counterPlaces.indices }

  func counter(_ index: Int) -> Int64 {
    var reader = ByteList(sections[counterPlaces[index].section].bytes)
    reader.offset = counterPlaces[index].offset
    return reader.take(Int64.self)
  }

  /// The snapshot with other counters, given by index.
  func with(_ changes: [Int: Int64]) -> [UInt8] {
    changes.reduce(into: self) { forged, change in
      let place = counterPlaces[change.key]
      forged.sections[place.section].write(change.value, at: place.offset)
    }.snapshot
  }

  func with(tokenCount: Int64) -> [UInt8] { with([0: tokenCount]) }

  /// All bytes.
  var snapshot: [UInt8] {
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
  func snapshot(header: [UInt8]) -> [UInt8] {
    var list = ByteList(Array("SLUICEKV".utf8))
    list.append(version)
    list.append(UInt32(header.count))
    list.bytes += header
    list.append(Self.crc32c(header))
    return sections.reduce(into: list.bytes) { $0 += $1.bytes }
  }

  /// CRC-32C bit by bit, apart from the table in the sources.
  static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
  }
}

/// Little-endian fields one after another, apart from the reader and the writer in the sources.
struct ByteList {
  var bytes: [UInt8] = []
  var offset = 0

  init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  init(_ value: some FixedWidthInteger) { append(value) }

  mutating func append(_ value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func append(_ text: String) {
    append(UInt32(text.utf8.count))
    bytes += text.utf8
  }

  mutating func take<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
    defer { offset += type.bitWidth / 8 }
    return bytes[offset..<offset + type.bitWidth / 8].reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
  }

  mutating func takeText() -> String {
    let count = Int(take(UInt32.self))
    defer { offset += count }
    return String(decoding: bytes[offset..<offset + count], as: UTF8.self)
  }
}

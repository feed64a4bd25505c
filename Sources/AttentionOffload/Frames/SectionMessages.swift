package import KVCaches

/// What a worker can do beside attention, as bits of its answer to the model.
struct WorkerAbilities: OptionSet {
  let rawValue: UInt64

  /// It hands out sections of sequences and takes them up.
  static let sections = WorkerAbilities(rawValue: 1)
}

/// The sections that a worker has of a sequence.
package struct SectionList: Sendable, Hashable {
  /// Of each head group, as sections hold them; none where sections are to come.
  package var counters: [[UInt8]] = []
  /// Those that have changed, or that have to come, say so.
  package var entries: [SectionListing] = []

  package init() {}

  private static let hasChanged: UInt8 = 1
  private static let isOnePart: UInt8 = 2

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    writer.write(counters: counters)
    writer.write(UInt32(entries.count))
    for entry in entries {
      writer.write(entry.name)
      writer.write((entry.hasChanged ? Self.hasChanged : 0) | (entry.parts == nil ? Self.isOnePart : 0))
      writer.write(UInt32(entry.parts?.count ?? 0))
      for part in entry.parts ?? [] { writer.write(UInt64(part)) }
    }
    return writer.bytes
  }

  /// - Throws: `OffloadError.badFrame` where it is none.
  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    var reader = MessageReader(bytes)
    counters = try reader.readCounters()
    for _ in 0..<(try reader.read(UInt32.self)) {
      let name = try reader.readName()
      let flags = try reader.read(UInt8.self)
      var parts: [Int] = []
      for _ in 0..<(try reader.read(UInt32.self)) {
        parts.append(try reader.readCount(UInt64.self, 0...FrameKind.section.lengthLimit, "a part of a section"))
      }
      entries.append(
        SectionListing(
          name, parts: flags & Self.isOnePart == 0 ? parts : nil, hasChanged: flags & Self.hasChanged != 0))
    }
    try reader.end()
  }
}

/// What a sequence is to become, in front of its sections.
package struct RestoreDescription: Sendable, Hashable {
  /// Bytes of all sections, which bound what the counters can claim.
  package var payload = 0
  /// Up to which token what the worker still has is what was saved; 0 for none of it.
  package var keptTokens: Int64 = 0
  /// Of each head group, of the heads that the worker has.
  package var counters: [[UInt8]] = []

  package init() {}

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    writer.write(UInt64(payload))
    writer.write(keptTokens)
    writer.write(counters: counters)
    return writer.bytes
  }

  /// - Throws: `OffloadError.badFrame` where it is none.
  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    var reader = MessageReader(bytes)
    payload = try reader.readCount(UInt64.self, 0...Int.max >> 1, "a length of sections")
    keptTokens = try reader.read()
    counters = try reader.readCounters()
    try reader.end()
  }
}

extension MessageWriter {
  package mutating func write(_ name: SectionName) {
    write(Int32(name.group))
    write(Int32(name.layer))
    write(UInt32(name.block))
    write(name.state.utf8)
  }

  fileprivate mutating func write(counters: [[UInt8]]) {
    write(UInt16(counters.count))
    for group in counters { write(group) }
  }
}

extension MessageReader {
  package mutating func readName() throws(OffloadError) -> SectionName {
    let (group, layer, block) = (try read(Int32.self), try read(Int32.self), try read(UInt32.self))
    return SectionName(group: Int(group), layer: Int(layer), state: try readText(), block: Int(block))
  }

  fileprivate mutating func readCounters() throws(OffloadError) -> [[UInt8]] {
    var counters: [[UInt8]] = []
    for _ in 0..<(try read(UInt16.self)) { counters.append(try readBytes()) }
    return counters
  }
}

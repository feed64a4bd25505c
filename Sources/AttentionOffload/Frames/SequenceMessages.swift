package import KVCaches

/// How a sequence is to be remembered.
package struct SequenceDescription: Sendable, Hashable {
  package var plan: KVCache.Plan
  package var slotType: KVCache.SlotType

  package init(plan: KVCache.Plan, slotType: KVCache.SlotType) { (self.plan, self.slotType) = (plan, slotType) }

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    writer.write(slotType.rawValue.utf8)
    writer.write(plan.description.utf8)
    let needs = plan.headMask?.needs ?? []
    writer.write(UInt16(needs.count))
    writer.write(UInt16(needs.first?.count ?? 0))
    for need in needs.joined() { writer.write(need) }
    return writer.bytes
  }

  /// - Throws: `OffloadError` where it is none that this program knows.
  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    var reader = MessageReader(bytes)
    guard let slotType = KVCache.SlotType(rawValue: try reader.readText()) else {
      throw .refused(.request, "an unknown type of slots")
    }
    let text = try reader.readText()
    let rows = try reader.readCount(UInt16.self, 0...4096, "rows of a mask")
    let columns = try reader.readCount(UInt16.self, 0...4096, "columns of a mask")
    var lines: [String] = []
    for _ in 0..<rows {
      var line: [String] = []
      for _ in 0..<columns { line.append("\(try reader.readDouble())") }
      lines.append(line.joined(separator: "\t"))
    }
    try reader.end()
    let table = lines.joined(separator: "\n")
    do throws(KVCacheError) {
      plan = try KVCache.Plan(
        text, resolver: PlanResolver { name throws(KVCacheError) in try HeadMask(text: table, name: name) })
    } catch {
      throw .refused(.request, "\(error)")
    }
    self.slotType = slotType
  }
}

/// How a sequence stands at a worker.
package struct SequenceState: Sendable, Hashable {
  package var tokenCount: Int64 = 0
  package var bytes: UInt64 = 0
  /// Bytes that the worker has left for all sequences.
  package var freeBytes: UInt64 = 0
  /// Of each head group, as sections hold them.
  package var counters: [[UInt8]] = []
  /// How it stood before its last step, where that step can come again; else as it stands.
  package var earlierTokenCount: Int64 = 0
  package var earlierCounters: [[UInt8]] = []

  package init() {}

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    writer.write(bytes)
    writer.write(freeBytes)
    for (tokens, counters) in [(tokenCount, counters), (earlierTokenCount, earlierCounters)] {
      writer.write(tokens)
      writer.write(UInt16(counters.count))
      for group in counters { writer.write(group) }
    }
    return writer.bytes
  }

  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    var reader = MessageReader(bytes)
    self.bytes = try reader.read()
    freeBytes = try reader.read()
    (tokenCount, counters) = try Self.readCounters(&reader)
    (earlierTokenCount, earlierCounters) = try Self.readCounters(&reader)
    try reader.end()
  }

  private static func readCounters(
    _ reader: inout MessageReader
  ) throws(OffloadError) -> (tokens: Int64, counters: [[UInt8]]) {
    let tokens = try reader.read(Int64.self)
    var counters: [[UInt8]] = []
    for _ in 0..<(try reader.read(UInt16.self)) { counters.append(try reader.readBytes()) }
    return (tokens, counters)
  }

  /// The counters after so many tokens; nil where it stands elsewhere.
  package func counters(after tokens: Int64) -> [[UInt8]]? {
    tokens == tokenCount ? counters : tokens == earlierTokenCount ? earlierCounters : nil
  }
}

/// The rows of a step that are a worker's, and whose.
package struct StepDescription: Sendable, Hashable {
  package struct Part: Sendable, Hashable {
    package var sequence: UInt64
    package var rows: Int
    /// The sequence's tokens before the step.
    package var position: Int64

    package init(sequence: UInt64, rows: Int, position: Int64) {
      (self.sequence, self.rows, self.position) = (sequence, rows, position)
    }
  }

  package var parts: [Part] = []

  package init() {}

  package var rows: Int { parts.reduce(0) { $0 + $1.rows } }

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    for part in parts {
      writer.write(part.sequence)
      writer.write(part.position)
      writer.write(UInt32(part.rows))
    }
    return writer.bytes
  }

  /// - Throws: `OffloadError.badFrame` where no step of so many rows could be it.
  package init(_ bytes: UnsafeRawBufferPointer, rowLimit: Int) throws(OffloadError) {
    var reader = MessageReader(bytes)
    var rows = 0
    while reader.remaining > 0 {
      let (sequence, position) = (try reader.read(UInt64.self), try reader.read(Int64.self))
      let part = Part(
        sequence: sequence, rows: try reader.readCount(UInt32.self, 1...rowLimit, "a number of rows"),
        position: position)
      rows += part.rows
      guard rows <= rowLimit else { throw .badFrame("more than \(rowLimit) rows") }
      guard !parts.contains(where: { $0.sequence == sequence }) else { throw .badFrame("a sequence twice in a step") }
      parts.append(part)
    }
    guard !parts.isEmpty else { throw .badFrame("a step without rows") }
  }
}

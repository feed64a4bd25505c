import Kernels

extension KVCache {
  private static let magic: [UInt8] = Array("SLUICEKV".utf8)
  private static let version: UInt32 = 1

  /// The whole state of the cache as bytes: decoded into a cache of the same plan it gives the same next token.
  ///
  /// Magic, version, what the cache is, counters, what tokens melted into, the used slots of every stage as they lie in
  /// memory, their scores where the cache keeps them, what it keeps of a prompt, and a CRC-32C of everything
  /// before it; all little-endian. A bounded cache has a bounded snapshot.
  public func snapshot() -> [UInt8] {
    var writer = SnapshotWriter()
    writer.reserve(bytes + 1024)
    Self.magic.withUnsafeBytes { writer.write($0) }
    writer.write(Self.version)
    writer.write(identity)
    writer.write(tokenCount)
    for part in parts { part.writeCounters(&writer) }
    for part in parts { part.forEachPayloadRange { writer.write(UnsafeRawBufferPointer($0)) } }
    writer.write(writer.bytes.withUnsafeBytes { Checksum.crc32c($0) })
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
    guard snapshot.count >= Self.magic.count + 8, snapshot.prefix(Self.magic.count).elementsEqual(Self.magic) else {
      throw .badSnapshot("this is not a cache snapshot")
    }
    var reader = SnapshotReader(UnsafeRawBufferPointer(rebasing: snapshot[Self.magic.count..<snapshot.count - 4]))
    let version = try reader.read(UInt32.self)
    guard version == Self.version else { throw .badSnapshot("version \(version), this program reads \(Self.version)") }
    let checked = UnsafeRawBufferPointer(rebasing: snapshot[..<(snapshot.count - 4)])
    let stored = UInt32(littleEndian: snapshot.loadUnaligned(fromByteOffset: snapshot.count - 4, as: UInt32.self))
    guard Checksum.crc32c(checked) == stored else { throw .badSnapshot("the checksum is wrong, it is damaged") }
    let identity = try reader.readText()
    guard identity == self.identity else {
      throw .badSnapshot("it belongs to '\(identity)', this cache is '\(self.identity)'")
    }
    let tokens = try reader.read(Int64.self)
    var states: [PartState] = []
    for part in parts { states.append(try part.readCounters(&reader, tokens: tokens)) }
    let expected = states.reduce(0) { $0 + $1.payloadBytes }
    guard reader.remaining == expected else {
      throw .badSnapshot("it holds \(reader.remaining) bytes of slots instead of \(expected)")
    }
    let payload = try reader.take(expected)
    for (part, state) in zip(parts, states) {
      try part.checkRepresented(payload, of: state.stages, tokens: tokens)
    }
    reset()
    var offset = 0
    for (part, state) in zip(parts, states) {
      part.restore(tokenCount: tokens, stages: state.stages, summary: state.summary)
      part.endRecord()
      part.undoLog?.clear()
      part.forEachPayloadRange { target in
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: payload[offset..<offset + target.count]))
        offset += target.count
      }
      part.weighPacked()
      part.boundStoredPages(.current)
    }
  }

  /// This cache and its companions, the caches of the other heads.
  var parts: [KVCache] { [self] + companions }

  /// What a snapshot says of a part, checked.
  private struct PartState {
    var stages: [any Stage]
    var summary: StageSummary?
    /// Bytes of slots, scores and queries that follow.
    var payloadBytes: Int
  }

  private func writeCounters(_ writer: inout SnapshotWriter) {
    writer.write(UInt32(stages.count))
    for stage in stages {
      writer.write(UInt32(stage.state.count))
      for counter in stage.state { writer.write(counter) }
    }
    summary?.write(to: &writer)
  }

  private func readCounters(_ reader: inout SnapshotReader, tokens: Int64) throws(KVCacheError) -> PartState {
    let stages = try readStages(&reader, tokens: tokens)
    let summary = plan.melting?.makeSummary(shape: heads.shape, slotType: slotType)
    try summary?.read(from: &reader)
    var bytes = storage.indices.reduce(0) { $0 + usedBytes(of: $1, slots: usedSlots(of: $1, by: stages)) }
    forEachUsedScores(by: stages) { bytes += $0.count }
    bytes += try promptBytes(of: stages, tokens: tokens)
    return PartState(stages: stages, summary: summary, payloadBytes: bytes)
  }

  /// Calls `body` with the used slots, their scores, and what is kept of a prompt.
  private func forEachPayloadRange(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
    for index in storage.indices {
      forEachUsedRange(of: storage[index], slots: usedSlots(of: index, by: stages), body)
    }
    forEachUsedScores(by: stages, body)
    forEachPromptRange(tokens: tokenCount, body)
  }

  private func readStages(_ reader: inout SnapshotReader, tokens: Int64) throws(KVCacheError) -> [any Stage] {
    guard tokens >= 0, tokens < .max / 2 else { throw .badSnapshot("impossible token count \(tokens)") }
    guard try reader.read(UInt32.self) == plan.stages.count else { throw .badSnapshot("another number of stages") }
    var stages = plan.stages.map { $0.makeStage() }
    for index in stages.indices {
      let count = Int(try reader.read(UInt32.self))
      guard count <= reader.remaining / 8 else { throw .badSnapshot("a stage claims \(count) counters") }
      var state: [Int64] = []
      for _ in 0..<count { state.append(try reader.read()) }
      try stages[index].restore(state)
      // A slot takes more than a byte, so this bounds what the claim can make us compute and allocate.
      guard stages[index].usedSlots <= reader.remaining else {
        throw .badSnapshot("it claims \(stages[index].usedSlots) slots, more than its bytes hold")
      }
    }
    guard stages.reduce(0, { $0 + $1.count }) <= tokens else { throw .badSnapshot("more tokens held than seen") }
    for (stage, next) in zip(stages, stages.dropFirst()) where plan.slidesExactly && next.count > 0 {
      guard stage.count == stage.capacity else {
        throw .badSnapshot("a stage holds tokens before the one it follows is full")
      }
    }
    return stages
  }

  /// What must agree between a snapshot and the cache that takes it up.
  private var identity: String {
    let shape = "\(shape.layers)x\(shape.keyValueHeads)x\(shape.headDim)"
    let division = plan.division == nil ? "" : " heads \(heads.fingerprint)"
    return "\(plan) \(slotType.rawValue) [layer, KV head, dim] \(shape)\(division) \(positions.fingerprint)"
  }

  /// Calls `body` with the scores of the used slots of each head, where the cache keeps them.
  private func forEachUsedScores(by stages: [any Stage], _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    guard let scores else { return }
    let (slots, used) = (storage[0].slotsPerBlock, usedSlots(of: 0, by: stages))
    for head in 0..<heads.count {
      body(UnsafeMutableRawBufferPointer(start: scores.pointer + head * slots, count: used * 4))
    }
  }

  private func usedBytes(of index: Int, slots: Int) -> Int {
    var total = 0
    var left = slots
    while left > 0 {
      let used = storage[index].usedRanges(slots: min(left, storage[index].slotsPerBlock))
      total += (used.keys.count + used.values.count) * heads.count
      left -= storage[index].slotsPerBlock
    }
    return total
  }

  /// Calls `body` with the bytes of the first `slots` slots of a storage, rounded up to whole panels of keys.
  func forEachUsedRange(
    of storage: StageStorage, slots: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) {
    for block in 0..<storage.blockCount {
      let used = min(slots - block * storage.slotsPerBlock, storage.slotsPerBlock)
      guard used > 0 else { return }
      let ranges = storage.usedRanges(slots: used)
      for head in 0..<heads.count {
        let bytes = storage.bytes(head: head, block: block)
        body(UnsafeMutableRawBufferPointer(rebasing: bytes[ranges.keys]))
        body(UnsafeMutableRawBufferPointer(rebasing: bytes[ranges.values]))
      }
    }
  }
}

extension PositionEncoding {
  /// A short text that differs between encodings whose stored keys differ.
  fileprivate var fingerprint: String {
    switch self {
    case .none: "no positions"
    case .linearBias: "alibi"
    case .rotary(let rotary):
      "rope \(rotary.layout == .halves ? "halves" : "interleaved") "
        + String(rotary.frequencies.reduce(UInt64(rotary.frequencies.count)) { ($0 &* 31) &+ $1.bitPattern }, radix: 16)
    }
  }
}

import KVCaches

/// A sequence at a worker that is becoming what was saved.
struct WorkerRestoration {
  private let restoration: Restoration
  /// All sections, and which of them have to come.
  let list: SectionList
  /// The most bytes that a section can have.
  let lengthLimit: Int

  /// Takes up counters; of what is still there as it was saved nothing has to come.
  ///
  /// - Parameter freeBytes: what the worker has left, without the sequence
  /// - Throws: `OffloadError.refused` where the counters are impossible, or there is no room.
  init(
    _ cache: KVCache, _ description: RestoreDescription, model: AttentionModel, freeBytes: Int
  ) throws(OffloadError) {
    let claimed = description.counters.first?.prefix(8).enumerated().reduce(0) {
      $0 | UInt64($1.element) << (8 * $1.offset)
    }
    // A slot takes more than a byte, so no more tokens can be held than there are bytes.
    let tokens = min(Int(clamping: claimed ?? 0), description.payload)
    let bytes =
      KVCache.bytes(plan: cache.plan, layers: model.layers, slotType: cache.slotType, tokens: tokens)
      / (model.heads.count * model.slots.count)
    guard description.payload / (model.heads.count * model.slots.count) <= freeBytes, bytes <= freeBytes else {
      throw .refused(.memory, "it takes \(bytes >> 20) MiB, and \(freeBytes >> 20) MiB are free")
    }
    do {
      restoration = try Self.begin(cache, description)
      list = try Self.takeKept(restoration, of: cache, keptTokens: description.keptTokens)
    } catch {
      throw .refused(.request, "\(error)")
    }
    lengthLimit = min(description.payload, FrameKind.writeSection.lengthLimit - Self.nameBytes) + Self.nameBytes
  }

  private static let nameBytes = 1024

  private static func begin(
    _ cache: KVCache, _ description: RestoreDescription
  ) throws(KVCacheError) -> Restoration {
    var copies: [UnsafeMutableRawBufferPointer] = []
    defer { for copy in copies { copy.deallocate() } }
    for counters in description.counters {
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: counters.count, alignment: 8)
      copy.copyBytes(from: counters)
      copies.append(copy)
    }
    return try Restoration(
      cache, counters: copies.map { UnsafeRawBufferPointer($0) }, payload: description.payload, leavesRecurrent: true)
  }

  /// Takes up slots that are still there as they were saved, and sections that have no bytes here.
  private static func takeKept(
    _ restoration: Restoration, of cache: KVCache, keptTokens: Int64
  ) throws -> SectionList {
    var kept: Set<SectionName> = []
    if keptTokens > 0, cache.tokenCount >= keptTokens {
      let sections = cache.storedSections(changedSince: keptTokens)
      kept = Set(sections.filter { $0.parts != nil && !$0.hasChanged }.map(\.name))
    }
    var list = SectionList()
    for name in restoration.missingSections {
      let parts = restoration.parts(of: name)
      var section = OneSection()
      if kept.contains(name) { try cache.write([name], to: &section) }
      let isHere = parts?.reduce(0, +) == section.bytes.count
      if isHere { try section.bytes.withUnsafeBytes { try restoration.take(name, $0) } }
      list.entries.append(SectionListing(name, parts: parts, hasChanged: !isHere))
    }
    return list
  }

  /// Takes up a section that stands at the front of some bytes.
  ///
  /// - Returns: its length.
  func take(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws(OffloadError) -> Int {
    do throws(KVCacheError) { return try restoration.takeFront(name, bytes) } catch {
      throw .refused(.request, "\(error)")
    }
  }

  /// Has the sequence be what came.
  func finish() throws(OffloadError) {
    do throws(KVCacheError) { try restoration.finish() } catch { throw .refused(.request, "\(error)") }
  }
}

/// The bytes of one section.
struct OneSection: SectionSink {
  var bytes: [UInt8] = []

  mutating func write(_ name: SectionName, _ contents: UnsafeRawBufferPointer) { bytes = Array(contents) }
}

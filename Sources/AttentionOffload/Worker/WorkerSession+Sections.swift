import KVCaches

/// Sections of a sequence that go out to be saved, or come in to be taken up.
extension WorkerSession {
  func exchangeSections(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    guard let cache = sequences[header.batch] else { throw .refused(.sequence, "the sequence is not here") }
    var reader = MessageReader(contents)
    switch header.kind {
    case .listSections:
      try checkWhole(header.batch)
      var list = SectionList()
      (list.counters, list.entries) = (cache.counters(), cache.storedSections(changedSince: try reader.read()))
      try answer(header, .sections, list.encoded(), reply)
    case .readSection:
      try checkWhole(header.batch)
      let name = try reader.readName()
      guard cache.stores(name) else { throw .refused(.request, "\(name) is not here") }
      try answer(header, .section, try bytes(of: name, cache), reply)
    case .restore:
      try answer(header, .sections, try restore(header.batch, cache, RestoreDescription(contents)).encoded(), reply)
    default:
      let name = try reader.readName()
      guard let restoration = restorations[header.batch] else {
        throw .refused(.request, "\(name) does not belong to what was announced")
      }
      var taken = MessageWriter()
      taken.write(
        UInt64(try restoration.take(name, UnsafeRawBufferPointer(rebasing: contents.suffix(reader.remaining)))))
      try answer(header, .taken, taken.bytes, reply)
    }
  }

  private func bytes(of name: SectionName, _ cache: KVCache) throws(OffloadError) -> [UInt8] {
    var section = OneSection()
    do { try cache.write([name], to: &section) } catch { throw .refused(.request, "\(error)") }
    return section.bytes
  }

  /// Begins to have a sequence be what was saved; until it ends no step may come.
  private func restore(
    _ id: UInt64, _ cache: KVCache, _ description: RestoreDescription
  ) throws(OffloadError) -> SectionList {
    leaveStep(id)
    broken.insert(id)
    let restoration = try WorkerRestoration(
      cache, description, model: model, freeBytes: memory.freeBytes + cache.bytes)
    restorations[id] = restoration
    return restoration.list
  }

  func endRestoring(_ id: UInt64) throws(OffloadError) {
    guard let restoration = restorations.removeValue(forKey: id) else {
      throw .refused(.request, "nothing is being restored")
    }
    try restoration.finish()
    broken.remove(id)
  }

  private func answer(
    _ header: FrameHeader, _ kind: FrameKind, _ bytes: [UInt8], _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    guard bytes.count <= kind.lengthLimit else { throw .refused(.request, "\(kind) of \(bytes.count) bytes") }
    let answer = FrameHeader(kind, epoch: header.epoch, batch: header.batch, length: bytes.count)
    let result: Result<Void, OffloadError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try reply(answer, bytes) }
    }
    try result.get()
  }
}

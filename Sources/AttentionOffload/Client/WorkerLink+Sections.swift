import KVCaches

/// Sections of a sequence, between steps.
extension WorkerLink {
  /// - Throws: `OffloadError.refused` where the worker does not know of sections.
  private func checkAbility() throws(OffloadError) {
    guard abilities.contains(.sections) || !isConnected else {
      throw .refused(.request, "an attention worker does not hand out what it keeps")
    }
  }

  /// The sections that the worker has of a sequence.
  ///
  /// - Parameter tokens: since when they can have changed; -1 for all
  func sections(of sequence: UInt64, changedSince tokens: Int64) throws(OffloadError) -> SectionList {
    try checkAbility()
    var writer = MessageWriter()
    writer.write(tokens)
    return try list(answering: .listSections, sequence, writer.bytes)
  }

  /// The bytes of a section.
  func read(_ name: SectionName, of sequence: UInt64) throws(OffloadError) -> [UInt8] {
    var writer = MessageWriter()
    writer.write(name)
    return try exchange(.readSection, sequence, writer.bytes, answer: .section)
  }

  /// Has the sequence begin to become what was saved.
  ///
  /// - Returns: all its sections, of which those that have to come say that they have changed.
  func restore(_ sequence: UInt64, _ description: RestoreDescription) throws(OffloadError) -> SectionList {
    try checkAbility()
    return try list(answering: .restore, sequence, description.encoded())
  }

  /// Hands over a section, with which the bytes begin.
  ///
  /// - Returns: how many of them the worker took.
  func write(
    _ name: SectionName, _ bytes: UnsafeRawBufferPointer, of sequence: UInt64
  ) throws(OffloadError) -> Int {
    guard let channel else { throw .lost("the worker is gone") }
    var writer = MessageWriter()
    writer.write(name)
    guard writer.bytes.count + bytes.count <= FrameKind.writeSection.lengthLimit else {
      throw .refused(.request, "\(name) has \(bytes.count) bytes")
    }
    let header = FrameHeader(
      .writeSection, epoch: epoch, batch: sequence, length: writer.bytes.count + bytes.count)
    let sent: Result<Void, OffloadError> = writer.bytes.withUnsafeBytes { front in
      Result { () throws(OffloadError) in try channel.send(header, front, bytes) }
    }
    try sent.get()
    let answer = try channel.receiveBytes(try receive(.taken, batch: sequence, length: 8))
    let taken = answer.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard taken <= UInt64(bytes.count) else { throw .badFrame("\(taken) bytes taken of \(bytes.count)") }
    return Int(taken)
  }

  private func list(
    answering kind: FrameKind, _ sequence: UInt64, _ bytes: [UInt8]
  ) throws(OffloadError) -> SectionList {
    let answer = try exchange(kind, sequence, bytes, answer: .sections)
    let result: Result<SectionList, OffloadError> = answer.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try SectionList(bytes) }
    }
    return try result.get()
  }

  private func exchange(
    _ kind: FrameKind, _ sequence: UInt64, _ bytes: [UInt8], answer: FrameKind
  ) throws(OffloadError) -> [UInt8] {
    try send(FrameHeader(kind, epoch: epoch, batch: sequence), bytes: bytes)
    let header = try receive(answer, batch: sequence)
    guard let channel else { throw .lost("the worker is gone") }
    return try channel.receiveBytes(header)
  }
}

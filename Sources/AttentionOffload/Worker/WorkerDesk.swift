/// A worker's side of one connection: what may come next, and what is answered.
///
/// `check` looks at a header before its contents are read, so that nothing is made room for because a header says so: until
/// the handshake is done that is 64 bytes, and what belongs to a step has exactly the length that the step gives it.
struct WorkerDesk {
  typealias Reply = (_ header: FrameHeader, _ contents: UnsafeRawBufferPointer) throws(OffloadError) -> Void

  private enum Stage {
    case greeting(nonce: [UInt8])
    case trusted
    case working(WorkerSession, epoch: UInt32)
  }

  private let worker: AttentionWorker
  private var stage: Stage

  init(_ worker: AttentionWorker) {
    self.worker = worker
    stage = .greeting(nonce: Handshake.nonce())
  }

  /// Says hello, the first thing on a connection.
  func greet(_ reply: Reply) throws(OffloadError) {
    guard case .greeting(let nonce) = stage else { return }
    try send(.hello, epoch: 0, nonce, reply)
  }

  /// - Throws: `OffloadError` where such a frame may not come now.
  func check(_ header: FrameHeader) throws(OffloadError) {
    switch (stage, header.kind) {
    case (.greeting, .proof):
      guard header.length == Handshake.nonceSize + Handshake.proofSize else { throw .notTrusted("no proof") }
    case (.greeting, _): throw .notTrusted("\(header.kind) before the handshake")
    case (.trusted, .model): return
    case (.working(let session, let epoch), let kind):
      guard header.epoch == epoch else { throw .badFrame("\(kind) of epoch \(header.epoch), this is \(epoch)") }
      try session.check(header)
    default: throw .badFrame("\(header.kind) cannot come now")
    }
  }

  /// Takes a frame in that was checked, and answers it; what is refused is said to the other side.
  ///
  /// - Parameter end: ends this connection, from any thread
  /// - Throws: `OffloadError` where the connection is to end.
  mutating func take(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, end: @escaping @Sendable () -> Void = {}, _ reply: Reply
  ) throws(OffloadError) {
    do throws(OffloadError) {
      switch stage {
      case .greeting(let nonce): try prove(contents, nonce, reply)
      case .trusted:
        let session = try worker.claim(try AttentionModel(contents), epoch: header.epoch, end: end)
        stage = .working(session, epoch: header.epoch)
        var ready = MessageWriter()
        ready.write(UInt64(worker.freeBytes))
        ready.write(WorkerAbilities.sections.rawValue)
        try send(.ready, epoch: header.epoch, ready.bytes, reply)
      case .working(let session, _): try session.take(header, contents, reply)
      }
    } catch {
      guard case .refused(let refusal, let reason) = error else { throw error }
      let text = Array(reason.utf8.prefix(FrameKind.error.lengthLimit - 1))
      try send(.error, epoch: header.epoch, batch: header.batch, [refusal.rawValue] + text, reply)
    }
  }

  private mutating func prove(
    _ contents: UnsafeRawBufferPointer, _ nonce: [UInt8], _ reply: Reply
  ) throws(OffloadError) {
    let (clientNonce, proof) = (
      Array(contents.prefix(Handshake.nonceSize)), Array(contents.dropFirst(Handshake.nonceSize))
    )
    let expected = worker.handshake.clientProof(workerNonce: nonce, clientNonce: clientNonce)
    guard Handshake.areEqual(proof, expected) else { throw .notTrusted("a proof of another key") }
    stage = .trusted
    try send(.welcome, epoch: 0, worker.handshake.workerProof(workerNonce: nonce, clientNonce: clientNonce), reply)
  }

  private func send(
    _ kind: FrameKind, epoch: UInt32, batch: UInt64 = 0, _ bytes: [UInt8], _ reply: Reply
  ) throws(OffloadError) {
    let header = FrameHeader(kind, epoch: epoch, batch: batch, length: bytes.count)
    let result: Result<Void, OffloadError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try reply(header, bytes) }
    }
    try result.get()
  }

  /// Notes that the connection has ended.
  mutating func end() {
    if case .working(let session, let epoch) = stage { worker.release(session, epoch: epoch) }
    stage = .trusted
  }
}

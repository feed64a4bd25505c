import KVCaches
import Kernels

/// A model worker's side of its connection with one attention worker: a part of all sequences of a group.
final class WorkerLink {
  typealias Connector = () throws(OffloadError) -> any FrameChannel

  /// What the worker has.
  let model: AttentionModel
  private let handshake: Handshake
  private(set) var channel: (any FrameChannel)?
  private(set) var epoch: UInt32
  /// Sequences that the worker has since the connection was made.
  private(set) var opened: Set<UInt64> = []
  /// What the worker said it had left.
  private(set) var freeBytes: UInt64 = 0
  private(set) var abilities: WorkerAbilities = []
  /// What a step's frames are packed into, and taken out of.
  var outgoing = Buffer<UInt8>(count: 0)
  var incoming = Buffer<UInt8>(count: 0)
  var times = OffloadTimes()
  /// The shortest time that frames of a step took to go out.
  var leastWriteSeconds = Double.infinity

  init(_ model: AttentionModel, key: OffloadKey, epoch: UInt32) {
    (self.model, self.epoch) = (model, epoch)
    handshake = Handshake(key: key)
  }

  var isConnected: Bool { channel != nil }

  /// Connects by the first way that works.
  ///
  /// - Throws: the first error, where none does.
  func connect(_ ways: [Connector]) throws(OffloadError) {
    var first: OffloadError?
    for way in ways {
      do throws(OffloadError) {
        try connect(to: try way())
        return
      } catch {
        drop()
        if case .notTrusted = error { throw error }
        first = first ?? error
      }
    }
    throw first ?? .lost("no attention worker is known")
  }

  private func connect(to channel: any FrameChannel) throws(OffloadError) {
    let hello = try channel.receiveHeader()
    guard hello.kind == .hello, hello.length == Handshake.nonceSize else { throw .notTrusted("no hello") }
    let (workerNonce, clientNonce) = (try channel.receiveBytes(hello), Handshake.nonce())
    let proof = handshake.clientProof(workerNonce: workerNonce, clientNonce: clientNonce)
    try channel.send(FrameHeader(.proof), bytes: clientNonce + proof)
    let welcome: FrameHeader
    do throws(OffloadError) { welcome = try channel.receiveHeader() } catch {
      // Who does not know the key is hung up on.
      throw .notTrusted("the worker does not take this key")
    }
    guard welcome.kind == .welcome, welcome.length == Handshake.proofSize,
      Handshake.areEqual(
        try channel.receiveBytes(welcome), handshake.workerProof(workerNonce: workerNonce, clientNonce: clientNonce))
    else { throw .notTrusted("the worker does not know the key") }
    epoch += 1
    self.channel = channel
    try send(FrameHeader(.model, epoch: epoch), bytes: model.encoded())
    let bytes = try channel.receiveBytes(try receive(.ready))
    guard [8, 16].contains(bytes.count) else { throw .badFrame("a worker that is ready in \(bytes.count) bytes") }
    let numbers = bytes.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 8).map {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self))
      }
    }
    // A worker that does nothing but attend says no more than what it has left.
    (freeBytes, abilities) = (numbers[0], WorkerAbilities(rawValue: numbers.count > 1 ? numbers[1] : 0))
  }

  /// Ends the connection: what the worker has is not counted on any more.
  func drop() {
    channel?.close()
    channel = nil
    opened = []
  }

  // Between steps.

  /// Has the worker do something with a sequence.
  ///
  /// - Returns: how the sequence stands there.
  @discardableResult
  func ask(_ kind: FrameKind, _ sequence: UInt64, bytes: [UInt8] = []) throws(OffloadError) -> SequenceState {
    try send(kind, sequence, bytes: bytes)
    return try receiveState(kind, sequence)
  }

  /// The two halves of `ask`.
  func send(_ kind: FrameKind, _ sequence: UInt64, bytes: [UInt8] = []) throws(OffloadError) {
    try send(FrameHeader(kind, epoch: epoch, batch: sequence), bytes: bytes)
  }

  @discardableResult
  func receiveState(_ kind: FrameKind, _ sequence: UInt64) throws(OffloadError) -> SequenceState {
    let header = try receive(.state, batch: sequence)
    guard let channel else { throw .lost("the worker is gone") }
    let contents = try channel.receiveBytes(header)
    let result: Result<SequenceState, OffloadError> = contents.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try SequenceState(bytes) }
    }
    let state = try result.get()
    freeBytes = state.freeBytes
    if kind == .open { opened.insert(sequence) }
    if kind == .close { opened.remove(sequence) }
    return state
  }

  /// Takes up a sequence that the worker has of an earlier connection.
  func adopt(_ sequence: UInt64) throws(OffloadError) -> SequenceState {
    let state = try ask(.askState, sequence)
    opened.insert(sequence)
    return state
  }

  func send(_ header: FrameHeader, bytes: [UInt8]) throws(OffloadError) {
    guard let channel else { throw .lost("the worker is gone") }
    try channel.send(header, bytes: bytes)
  }

  /// Waits for a frame; beats in front of it only say that the worker is alive.
  func receive(
    _ kind: FrameKind, batch: UInt64 = 0, layer: Int = 0, length: Int? = nil
  ) throws(OffloadError) -> FrameHeader {
    guard let channel else { throw .lost("the worker is gone") }
    while true {
      let header = try channel.receiveHeader()
      guard header.epoch == epoch else { throw .badFrame("\(header.kind) of another epoch") }
      if header.kind == .beat { continue }
      if header.kind == .attention, kind != .attention || header.batch != batch {
        // Of a step that another worker's loss ended.
        _ = try channel.receiveBytes(header)
        continue
      }
      if header.kind == .error {
        let bytes = try channel.receiveBytes(header)
        let refusal = OffloadError.Refusal(rawValue: bytes.first ?? 0) ?? .request
        throw .refused(refusal, String(decoding: bytes.dropFirst(), as: UTF8.self))
      }
      guard header.kind == kind, header.batch == batch, header.layer == layer,
        length.map({ $0 == header.length }) ?? true
      else { throw .badFrame("\(header.kind) in place of \(kind)") }
      return header
    }
  }
}

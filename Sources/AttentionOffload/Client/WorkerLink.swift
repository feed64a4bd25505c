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
  private var outgoing = Buffer<UInt8>(count: 0)
  private var incoming = Buffer<UInt8>(count: 0)
  private(set) var times = OffloadTimes()

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
    try send(FrameHeader(kind, epoch: epoch, batch: sequence), bytes: bytes)
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

  // A step.

  func beginStep(_ step: StepDescription, batch: UInt64, lane: Int) throws(OffloadError) {
    try send(FrameHeader(.step, epoch: epoch, batch: batch, layer: lane), bytes: step.encoded())
  }

  /// Sends queries, or keys and values, of some rows of the batch, `[row, head, headDim]`.
  func send(
    _ kind: FrameKind, batch: UInt64, layer: Int, format: WireFormat, _ rows: [Range<Int>],
    _ first: UnsafePointer<Float>?, _ second: UnsafePointer<Float>?, _ kernels: InstructionSet
  ) throws(OffloadError) {
    guard let channel else { throw .lost("the worker is gone") }
    let started = secondsNow()
    let heads = kind == .queries ? model.queryHeads(layer: layer) : model.keyValueHeads(layer: layer)
    let shape = model.layers[layer]
    let all = kind == .queries ? shape.queryHeads : shape.keyValueHeads
    let bytes = rows.reduce(0) { $0 + $1.count } * heads.count * shape.headDim * format.size
    let parts = [first, second].compactMap(\.self)
    var pieces = (UnsafeRawBufferPointer(start: nil, count: 0), UnsafeRawBufferPointer(start: nil, count: 0))
    if outgoing.count < parts.count * bytes { outgoing = Buffer(count: parts.count * bytes) }
    for (index, part) in parts.enumerated() {
      let piece = contents(
        part, RowHeads(all: all, own: heads, headDim: shape.headDim, rows: 0), rows, format,
        room: UnsafeMutableRawBufferPointer(start: outgoing.pointer + index * bytes, count: bytes), kernels)
      if index == 0 { pieces.0 = piece } else { pieces.1 = piece }
    }
    let packed = secondsNow()
    let header = FrameHeader(
      kind, epoch: epoch, batch: batch, layer: layer, format: format, length: parts.count * bytes)
    try channel.send(header, pieces.0, pieces.1)
    times.packing += packed - started
    times.sending += secondsNow() - packed
    times.bytesSent += header.length
  }

  /// The rows of a frame: where they lie, if they lie there as they are sent, else packed into `room`.
  private func contents(
    _ source: UnsafePointer<Float>, _ heads: RowHeads, _ rows: [Range<Int>], _ format: WireFormat,
    room: UnsafeMutableRawBufferPointer, _ kernels: InstructionSet
  ) -> UnsafeRawBufferPointer {
    let stride = heads.all * heads.headDim
    if rows.count == 1, heads.with(rows: rows[0].count).isContiguous(format) {
      return UnsafeRawBufferPointer(
        start: source + rows[0].lowerBound * stride + heads.offset, count: room.count)
    }
    var offset = 0
    for range in rows {
      let part = heads.with(rows: range.count)
      if let base = room.baseAddress {
        part.pack(source + range.lowerBound * stride, format, to: base + offset, kernels)
      }
      offset += part.count * format.size
    }
    return UnsafeRawBufferPointer(room)
  }

  /// Takes a layer's answer and puts it to its rows, `[row, query head, headDim]`.
  ///
  /// - Parameter sums: takes the logarithms of sums, `[row, query head]`, where the slots of a sequence are divided
  func receiveAttention(
    batch: UInt64, layer: Int, format: WireFormat, _ rows: [Range<Int>], to output: UnsafeMutablePointer<Float>,
    sums: UnsafeMutablePointer<Float>?, _ kernels: InstructionSet
  ) throws(OffloadError) {
    let (own, shape) = (model.queryHeads(layer: layer), model.layers[layer])
    let count = rows.reduce(0) { $0 + $1.count }
    let sumBytes = sums == nil ? 0 : count * own.count * 4
    let length = sumBytes + count * own.count * shape.headDim * format.size
    let started = secondsNow()
    let header = try receive(.attention, batch: batch, layer: layer, length: length)
    let came = secondsNow()
    if incoming.count < length { incoming = Buffer(count: length) }
    guard let channel else { throw .lost("the worker is gone") }
    try channel.receiveContents(into: UnsafeMutableRawBufferPointer(start: incoming.pointer, count: header.length))
    let base = UnsafeRawPointer(incoming.pointer)
    var (sum, offset) = (0, sumBytes)
    for range in rows {
      for row in range {
        for head in own where sums != nil {
          let bits = (base + sum).loadUnaligned(as: UInt32.self)
          sums?[row * shape.queryHeads + head] = Float(bitPattern: UInt32(littleEndian: bits))
          sum += 4
        }
      }
      let heads = RowHeads(all: shape.queryHeads, own: own, headDim: shape.headDim, rows: range.count)
      heads.unpack(
        UnsafeRawBufferPointer(start: base + offset, count: heads.count * format.size), format,
        to: output + range.lowerBound * shape.queryHeads * shape.headDim, kernels)
      offset += heads.count * format.size
    }
    times.exchanges += 1
    times.waiting += came - started
    times.packing += secondsNow() - came
    times.bytesReceived += length
  }
}

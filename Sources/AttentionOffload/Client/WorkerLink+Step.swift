import KVCaches
import Kernels

/// The rows of a batch that a worker has, and how their numbers go there.
struct SentRows {
  let batch: UInt64
  let format: WireFormat
  let rows: [Range<Int>]
  let kernels: InstructionSet

  var count: Int { rows.reduce(0) { $0 + $1.count } }
}

/// Keys and values of a layer; none where it reads those of an earlier one.
struct StoredRows {
  var keys: UnsafePointer<Float>?
  var values: UnsafePointer<Float>?
}

extension WorkerLink {
  func beginStep(_ step: StepDescription, batch: UInt64, lane: Int) throws(OffloadError) {
    try send(FrameHeader(.step, epoch: epoch, batch: batch, layer: lane), bytes: step.encoded())
  }

  /// Sends a layer's queries, keys and values, or some of them; queries in one go with the keys where both are there.
  ///
  /// - Parameters:
  ///   - queries: `[row, query head, headDim]`
  ///   - keys: `[row, KV head, headDim]` of keys and of values; nil where they come later
  func send(
    _ sent: SentRows, layer: Int, queries: UnsafePointer<Float>?, keys: StoredRows?
  ) throws(OffloadError) {
    guard let channel else { throw .lost("the worker is gone") }
    let started = secondsNow()
    let bytes = frameBytes(.queries, sent, layer)
    let keyBytes = frameBytes(.keysAndValues, sent, layer)
    let room = bytes + 2 * keyBytes
    if outgoing.count < room { outgoing = Buffer(count: room) }
    let first = queries.map { frame(.queries, sent, layer, $0, nil, at: 0, bytes: bytes) }
    let second = keys.map { frame(.keysAndValues, sent, layer, $0.keys, $0.values, at: bytes, bytes: keyBytes) }
    let packed = secondsNow()
    if let first, let second {
      try channel.send(first, second)
    } else if let frame = first ?? second {
      try channel.send(frame.header, frame.first, frame.second)
    }
    let seconds = secondsNow() - packed
    leastWriteSeconds = min(leastWriteSeconds, seconds)
    times.packing += packed - started
    times.sending += seconds
    times.bytesSent += (first?.header.length ?? 0) + (second?.header.length ?? 0)
  }

  /// Bytes of queries, of keys, or of values.
  private func frameBytes(_ kind: FrameKind, _ sent: SentRows, _ layer: Int) -> Int {
    sent.count * (kind == .queries ? model.queryWidth(layer: layer) : model.keyWidth(layer: layer)) * sent.format.size
  }

  /// A frame whose numbers lie where they are, or in `outgoing` from `offset` on.
  private func frame(
    _ kind: FrameKind, _ sent: SentRows, _ layer: Int, _ first: UnsafePointer<Float>?, _ second: UnsafePointer<Float>?,
    at offset: Int, bytes: Int
  ) -> OutgoingFrame {
    let heads = kind == .queries ? model.queryHeads(layer: layer) : model.keyValueHeads(layer: layer)
    let shape = model.layers[layer]
    let all = RowHeads(
      all: kind == .queries ? shape.queryHeads : shape.keyValueHeads, own: heads, headDim: shape.headDim, rows: 0)
    func piece(_ source: UnsafePointer<Float>?, at offset: Int) -> UnsafeRawBufferPointer {
      guard let source else { return UnsafeRawBufferPointer(start: nil, count: 0) }
      return contents(
        source, all, sent,
        room: UnsafeMutableRawBufferPointer(start: outgoing.pointer + offset, count: bytes))
    }
    let pieces = (piece(first, at: offset), piece(second, at: offset + bytes))
    let header = FrameHeader(
      kind, epoch: epoch, batch: sent.batch, layer: layer, format: sent.format,
      length: pieces.0.count + pieces.1.count)
    return OutgoingFrame(header: header, first: pieces.0, second: pieces.1)
  }

  /// The rows of a frame: where they lie, if they lie there as they are sent, else packed into `room`.
  private func contents(
    _ source: UnsafePointer<Float>, _ heads: RowHeads, _ sent: SentRows, room: UnsafeMutableRawBufferPointer
  ) -> UnsafeRawBufferPointer {
    let (rows, format) = (sent.rows, sent.format)
    let stride = heads.all * heads.headDim
    if rows.count == 1, heads.with(rows: rows[0].count).isContiguous(format) {
      return UnsafeRawBufferPointer(
        start: source + rows[0].lowerBound * stride + heads.offset, count: room.count)
    }
    var offset = 0
    for range in rows {
      let part = heads.with(rows: range.count)
      if let base = room.baseAddress {
        part.pack(source + range.lowerBound * stride, format, to: base + offset, sent.kernels)
      }
      offset += part.count * format.size
    }
    return UnsafeRawBufferPointer(room)
  }

  /// Takes a layer's answer and puts it to its rows, `[row, query head, headDim]`.
  ///
  /// - Parameter sums: takes the logarithms of sums, `[row, query head]`, where the slots of a sequence are divided
  func receive(
    _ sent: SentRows, layer: Int, to output: UnsafeMutablePointer<Float>, sums: UnsafeMutablePointer<Float>?
  ) throws(OffloadError) {
    let (own, shape) = (model.queryHeads(layer: layer), model.layers[layer])
    let (rows, format, count) = (sent.rows, sent.format, sent.count)
    let sumBytes = sums == nil ? 0 : count * own.count * 4
    let length = sumBytes + count * own.count * shape.headDim * format.size
    let started = secondsNow()
    let header = try receive(.attention, batch: sent.batch, layer: layer, length: length)
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
        to: output + range.lowerBound * shape.queryHeads * shape.headDim, sent.kernels)
      offset += heads.count * format.size
    }
    times.exchanges += 1
    times.waiting += came - started
    times.packing += secondsNow() - came
    times.bytesReceived += length
  }
}

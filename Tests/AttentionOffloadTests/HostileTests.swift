import AttentionOffload
import CacheTestSupport
import Foundation
import KVCaches
import Kernels
import Testing

/// A client that says what it likes.
final class RawClient {
  let channel: InProcessChannel
  var replies: [(header: FrameHeader, bytes: [UInt8])] = []

  init(_ worker: AttentionWorker) throws {
    channel = InProcessChannel(worker)
    try takeReplies()
  }

  func send(_ header: FrameHeader, _ bytes: [UInt8] = []) throws(OffloadError) {
    try channel.send(header, bytes: bytes)
    while let header = try? channel.receiveHeader() {
      // A reply that was received is there.
      replies.append((header, (try? channel.receiveBytes(header)) ?? []))
    }
  }

  private func takeReplies() throws {
    let header = try channel.receiveHeader()
    replies.append((header, try channel.receiveBytes(header)))
  }

  func prove(key: [UInt8]) throws {
    let handshake = Handshake(key: try OffloadKey(key))
    let (worker, client) = (replies[0].bytes, Handshake.nonce())
    try send(FrameHeader(.proof), client + handshake.clientProof(workerNonce: worker, clientNonce: client))
  }

  func open(session: UInt64, epoch: UInt32) throws {
    try prove(key: TestWorkers.key)
    let model = AttentionModel(
      session: session, heads: .all, slots: .all, rows: 16, layers: OffloadSubject.layers)
    try send(FrameHeader(.model, epoch: epoch), model.encoded())
  }
}

@Suite("A hostile peer")
struct HostileTests {
  private static let sequence = SequenceDescription(plan: .full, slotType: .float16).encoded()

  private static func step(_ sequence: UInt64, rows: Int, position: Int64) -> [UInt8] {
    var step = StepDescription()
    step.parts = [StepDescription.Part(sequence: sequence, rows: rows, position: position)]
    return step.encoded()
  }

  @Test("without the key gets nothing")
  func wrongKey() throws {
    let worker = try TestWorkers(1).workers[0]
    let client = try RawClient(worker)
    #expect(throws: OffloadError.self) { try client.prove(key: Array("another key than theirs".utf8)) }
    // A proof of another connection is none.
    let (first, second) = (try RawClient(worker), try RawClient(worker))
    let handshake = Handshake(key: try OffloadKey(TestWorkers.key))
    let nonce = Handshake.nonce()
    let proof = handshake.clientProof(workerNonce: first.replies[0].bytes, clientNonce: nonce)
    #expect(throws: OffloadError.self) { try second.send(FrameHeader(.proof), nonce + proof) }
    // A worker's own proof is none either.
    let third = try RawClient(worker)
    let reflected = handshake.workerProof(workerNonce: third.replies[0].bytes, clientNonce: nonce)
    #expect(throws: OffloadError.self) { try third.send(FrameHeader(.proof), nonce + reflected) }
  }

  @Test("before the handshake may send a proof and nothing else", arguments: FrameKind.allCases)
  func beforeHandshake(kind: FrameKind) throws {
    let client = try RawClient(try TestWorkers(1).workers[0])
    #expect(throws: OffloadError.self) { try client.send(FrameHeader(kind)) }
    #expect(client.replies.count == 1)
  }

  @Test("that knows no key is refused by a client")
  func falseWorker() throws {
    let workers = try TestWorkers(1)
    #expect(throws: OffloadError.self) {
      try RemoteAttention(
        layers: OffloadSubject.layers, division: WorkDivision(), workers: workers.connectors,
        key: OffloadKey(Array("another key than theirs".utf8)), team: WorkerTeam(threads: 1), kernels: .current)
    }
  }

  /// What comes out of order, or with a length that the step does not give it, ends the connection before it is read.
  @Test("cannot bring frames out of order")
  func order() throws {
    let width = OffloadSubject.shape.queryHeads * OffloadSubject.shape.headDim * 4
    let keyWidth = OffloadSubject.shape.keyValueHeads * OffloadSubject.shape.headDim * 8
    let queries = { (layer: Int, batch: UInt64) in
      FrameHeader(.queries, epoch: 1, batch: batch, layer: layer, format: .float32)
    }
    let keys = { (layer: Int) in FrameHeader(.keysAndValues, epoch: 1, batch: 7, layer: layer, format: .float32) }
    let bytes = { (count: Int) in [UInt8](repeating: 0, count: count) }
    let bad: [(String, FrameHeader, [UInt8])] = [
      ("queries of another step", queries(0, 6), bytes(2 * width)),
      ("queries of a later layer", queries(1, 7), bytes(2 * width)),
      ("queries of a layer that there is not", queries(2, 7), bytes(2 * width)),
      ("queries of a huge layer", queries(Int(Int32.max), 7), bytes(2 * width)),
      ("queries of other rows", queries(0, 7), bytes(width)),
      ("queries without numbers", FrameHeader(.queries, epoch: 1, batch: 7), []),
      ("keys before queries", keys(0), bytes(2 * keyWidth)),
      ("another epoch", FrameHeader(.askState, epoch: 2, batch: 1), []),
      ("a model again", FrameHeader(.model, epoch: 1), bytes(9)),
      ("a reply", FrameHeader(.state, epoch: 1), []),
      ("a step of too many rows", FrameHeader(.step, epoch: 1, batch: 8), Self.step(1, rows: 17, position: 2)),
      ("a step without rows", FrameHeader(.step, epoch: 1, batch: 8), []),
      ("a section of nothing", FrameHeader(.writeSection, epoch: 1, batch: 1), bytes(40)),
      ("a question of another length", FrameHeader(.listSections, epoch: 1, batch: 1), bytes(7)),
      ("sections", FrameHeader(.sections, epoch: 1, batch: 1), bytes(6)),
      ("a step of no lane", FrameHeader(.step, epoch: 1, batch: 8, layer: 4), Self.step(1, rows: 1, position: 2)),
    ]
    let worker = try TestWorkers(1).workers[0]
    for (index, (what, header, contents)) in bad.enumerated() {
      let client = try RawClient(worker)
      try client.open(session: UInt64(index), epoch: 1)
      try client.send(FrameHeader(.open, epoch: 1, batch: 1), Self.sequence)
      try client.send(FrameHeader(.step, epoch: 1, batch: 7), Self.step(1, rows: 2, position: 0))
      #expect(throws: OffloadError.self, "\(what)") { try client.send(header, contents) }
    }
  }

  @Test("that knows the key gets an error for what cannot be done, and may go on")
  func refusals() throws {
    let client = try RawClient(try TestWorkers(1).workers[0])
    try client.open(session: 1, epoch: 1)
    try client.send(FrameHeader(.open, epoch: 1, batch: 1), Self.sequence)
    try client.send(FrameHeader(.open, epoch: 1, batch: 2), Self.sequence)
    try client.send(FrameHeader(.open, epoch: 1, batch: 5), Self.sequence)
    try client.send(FrameHeader(.step, epoch: 1, batch: 7, layer: 2), Self.step(2, rows: 1, position: 0))
    let asked: [(FrameHeader, [UInt8])] = [
      (FrameHeader(.step, epoch: 1, batch: 8), Self.step(3, rows: 1, position: 0)),
      (FrameHeader(.step, epoch: 1, batch: 8), Self.step(1, rows: 1, position: 5)),
      (FrameHeader(.askState, epoch: 1, batch: 9), []),
      // While a step of the sequence is under way, another lane cannot have it.
      (FrameHeader(.step, epoch: 1, batch: 9, layer: 1), Self.step(2, rows: 1, position: 1)),
      (FrameHeader(.rollBack, epoch: 1, batch: 1), [1, 0, 0, 0, 0, 0, 0, 0]),
      (FrameHeader(.listSections, epoch: 1, batch: 9), [UInt8](repeating: 0, count: 8)),
      (FrameHeader(.readSection, epoch: 1, batch: 1), Self.sectionName),
      (FrameHeader(.endRestoring, epoch: 1, batch: 1), []),
      // More than the worker has room for.
      (FrameHeader(.restore, epoch: 1, batch: 5), Self.restoring(tokens: 1 << 40, payload: 1 << 50)),
      (FrameHeader(.restore, epoch: 1, batch: 5), Self.restoring(tokens: 1 << 40, payload: 1 << 29)),
      (
        FrameHeader(.open, epoch: 1, batch: 3),
        SequenceDescription(plan: try KVCache.Plan("window:200000000"), slotType: .float32).encoded()
      ),
    ]
    for (header, bytes) in asked {
      client.replies = []
      try client.send(header, bytes)
      #expect(client.replies.map(\.header.kind) == [.error], "\(header.kind)")
    }
    client.replies = []
    try client.send(FrameHeader(.step, epoch: 1, batch: 9), Self.step(1, rows: 1, position: 0))
    #expect(client.replies.isEmpty)
  }

  /// Of a sequence of the plan `full` of one layer.
  private static let sectionName: [UInt8] = {
    var writer = MessageWriter()
    writer.write(SectionName(group: 0, layer: 0, state: "slots", block: 0))
    return writer.bytes
  }()

  /// Counters that claim so many tokens, all held.
  private static func restoring(tokens: Int64, payload: Int) -> [UInt8] {
    var counters = SectionWriter()
    counters.write(tokens)
    counters.write(UInt32(1))
    counters.write(UInt32(1))
    counters.write(tokens)
    var description = RestoreDescription()
    (description.payload, description.counters) = (payload, [counters.bytes])
    return description.encoded()
  }

  @Test("a model that cannot be is refused", arguments: 0..<40)
  func badModels(seed: UInt64) throws {
    let good = AttentionModel(session: 1, heads: .all, slots: .all, rows: 16, layers: OffloadSubject.layers).encoded()
    var random = SplitMix64(seed: seed)
    let worker = try TestWorkers(1).workers[0]
    for _ in 0..<50 {
      var bytes = good
      if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
      for _ in 0..<1 + random.next() % 4 where !bytes.isEmpty {
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      // Whatever comes out can be encoded again.
      let model = bytes.withUnsafeBytes { raw in Result { () throws(OffloadError) in try AttentionModel(raw) } }
      if case .success(let model) = model { _ = model.encoded() }
    }
    #expect(worker.heldBytes == 0)
  }

  /// `SLUICE_FUZZED_FRAMES=1000000` for the long run.
  private static let fuzzedFrames =
    Int(ProcessInfo.processInfo.environment["SLUICE_FUZZED_FRAMES"] ?? "") ?? 20_000

  /// Frames that are good but for some bits; another model worker's sequence goes on meanwhile.
  @Test("sends spoiled frames")
  func fuzz() throws {
    var random = SplitMix64(seed: 11)
    // Sessions that are kept would fill the worker, which then takes no frame of another one.
    let workers = try TestWorkers(1, keptSeconds: 0)
    let local = LocalAttention(layers: OffloadSubject.layers, team: try WorkerTeam(threads: 1), kernels: .current)
    let remote = try workers.attention(OffloadSubject.layers, WorkDivision())
    let cache = try local.makeMemory(.full, slotType: .float16)
    let memory = try remote.makeMemory(.full, slotType: .float16)
    let held = workers.workers[0].heldBytes
    let sequence = OffloadSubject.sequences[0]
    let queries = [UInt8](repeating: 0x3C, count: OffloadSubject.shape.queryHeads * OffloadSubject.shape.headDim * 4)
    let keys = [UInt8](repeating: 0x3C, count: OffloadSubject.shape.keyValueHeads * OffloadSubject.shape.headDim * 8)
    var good: [(FrameHeader, [UInt8])] = [
      (FrameHeader(.open, epoch: 1, batch: 1), Self.sequence),
      (FrameHeader(.keepUndo, epoch: 1, batch: 1), [4, 0, 0, 0, 1, 0, 0, 0]),
    ]
    for position in 0..<2 {
      let batch = UInt64(position) + 5
      good.append((FrameHeader(.step, epoch: 1, batch: batch), Self.step(1, rows: 1, position: Int64(position))))
      for layer in 0..<2 {
        good.append((FrameHeader(.queries, epoch: 1, batch: batch, layer: layer, format: .float32), queries))
        good.append((FrameHeader(.keysAndValues, epoch: 1, batch: batch, layer: layer, format: .float32), keys))
      }
    }
    // Two steps at once, their layers by turns.
    good.append((FrameHeader(.open, epoch: 1, batch: 2), Self.sequence))
    for (lane, position) in [(1, Int64(0)), (2, 2)] {
      let batch = UInt64(lane) + 10
      good.append(
        (
          FrameHeader(.step, epoch: 1, batch: batch, layer: lane),
          Self.step(3 - UInt64(lane), rows: 1, position: position)
        ))
    }
    for layer in 0..<2 {
      for batch in [UInt64(11), 12] {
        good.append((FrameHeader(.queries, epoch: 1, batch: batch, layer: layer, format: .float32), queries))
        good.append((FrameHeader(.keysAndValues, epoch: 1, batch: batch, layer: layer, format: .float32), keys))
      }
    }
    good.append((FrameHeader(.rollBack, epoch: 1, batch: 1), [1, 0, 0, 0, 0, 0, 0, 0]))
    good.append((FrameHeader(.listSections, epoch: 1, batch: 1), [UInt8](repeating: 0, count: 8)))
    good.append((FrameHeader(.readSection, epoch: 1, batch: 1), Self.sectionName))
    good.append((FrameHeader(.restore, epoch: 1, batch: 1), Self.restoring(tokens: 2, payload: 1 << 13)))
    for layer in 0..<2 {
      var section = MessageWriter()
      section.write(SectionName(group: 0, layer: layer, state: "slots", block: 0))
      // Panels of 16 keys and two values of each head, as float16.
      let bytes = OffloadSubject.shape.keyValueHeads * OffloadSubject.shape.headDim * (16 + 2) * 2
      good.append((FrameHeader(.writeSection, epoch: 1, batch: 1), section.bytes + [UInt8](repeating: 7, count: bytes)))
    }
    good.append((FrameHeader(.endRestoring, epoch: 1, batch: 1), []))
    for kind in [FrameKind.askState, .endPrompt, .reset, .close] {
      good.append((FrameHeader(kind, epoch: 1, batch: 1), []))
    }
    var (sent, token, session) = (0, 0, UInt64(1000))
    while sent < Self.fuzzedFrames {
      session += 1
      let client = try RawClient(workers.workers[0])
      try client.open(session: session, epoch: 1)
      client.replies = []
      // Fifty rounds of all frames, unless the connection ends before.
      rounds: for _ in 0..<50 {
        for (header, bytes) in good {
          sent += 1
          client.replies.removeAll(keepingCapacity: true)
          do {
            try client.channel.sendSpoiled(header, bytes, &random)
            while let reply = try? client.channel.receiveHeader() { _ = try? client.channel.receiveBytes(reply) }
          } catch { break rounds }
        }
      }
      client.channel.close()
      if session % 10 == 0, token < 60 {
        #expect(
          remote.run(memory, sequence, token..<token + 1, .ones) == local.run(cache, sequence, token..<token + 1, .ones)
        )
        token += 1
      }
    }
    #expect(memory.failure == nil && token > 0)
    #expect(workers.workers[0].heldBytes < held + (64 << 20))
  }
}

extension InProcessChannel {
  /// Sends a frame, three times of four with some bits of it changed.
  fileprivate func sendSpoiled(
    _ header: FrameHeader, _ bytes: [UInt8], _ random: inout SplitMix64
  ) throws(OffloadError) {
    var (frame, contents) = ([UInt8](repeating: 0, count: FrameHeader.size), bytes)
    var header = header
    header.length = bytes.count
    frame.withUnsafeMutableBytes { header.write(to: $0) }
    let choice = random.next()
    if choice % 64 == 0 { frame[Int(random.next() % 32)] ^= 1 << UInt8(random.next() % 8) }
    if choice % 4 != 0, !contents.isEmpty {
      contents[Int(random.next() % UInt64(contents.count))] = UInt8(truncatingIfNeeded: random.next())
    }
    let result: Result<FrameHeader, OffloadError> = frame.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try FrameHeader(bytes) }
    }
    let spoiled = try result.get()
    guard spoiled.length == contents.count else { throw .badFrame("the rest does not come") }
    try send(spoiled, bytes: contents)
  }
}

import AttentionOffload
import CacheTestSupport
import Engine
import Foundation
import KVCaches
import Kernels
import Models
import TestSupport
import Testing

/// Workers behind real sockets, of this process or of others.
@Suite("Over sockets")
struct SocketTests {
  private func worker() throws -> AttentionWorker {
    AttentionWorker(key: try OffloadKey(TestWorkers.key), team: try WorkerTeam(threads: 1), kernels: .current)
  }

  /// Of one thread, which waits without sleep where the machine has two CPUs.
  private func connector(_ address: SocketAddress) -> RemoteAttention.Connector {
    SocketChannel.connector(to: address, patience: 20_000, threads: 1)
  }

  private func engine(
    _ addresses: [SocketAddress], _ division: WorkDivision, format: WireFormat = .float32, lanes: Int = 1
  ) throws -> InferenceEngine {
    let engine = try FamilyModels.engine("llama3-rope")
    engine.attend(
      by: try RemoteAttention(
        layers: engine.model.configuration.layers, division: division, workers: addresses.map { connector($0) },
        key: OffloadKey(TestWorkers.key), team: engine.team, kernels: .current,
        options: .init(format: format, overlap: .wherePaid, patience: 20_000, lanes: lanes)))
    return engine
  }

  private func expected() throws -> (prompt: [Int32], output: [Int32]) {
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(33))
    return (prompt, try FamilyModels.engine("llama3-rope").greedy(prompt, count: 12, plan: "full"))
  }

  @Test("of both kinds", arguments: [WorkDivision(heads: 2), WorkDivision(slots: 2), WorkDivision(requests: 2)])
  func bothKinds(division: WorkDivision) throws {
    try withTemporaryDirectory { folder in
      let servers = [
        try WorkerServer(try worker(), at: SocketAddress("127.0.0.1:0")),
        try WorkerServer(try worker(), at: SocketAddress("unix:\(folder)/worker")),
      ]
      defer { for server in servers { server.stop() } }
      let expected = try expected()
      let engine = try engine(servers.map(\.address), division)
      #expect(try engine.greedy(expected.prompt, count: 12, plan: "full") == expected.output)
    }
  }

  @Test("batches that take turns")
  func takingTurns() throws {
    try withTemporaryDirectory { folder in
      let server = try WorkerServer(try worker(), at: SocketAddress("unix:\(folder)/worker"))
      defer { server.stop() }
      let tokens = try FamilyModels.tokens("llama3-rope")
      let prompts = [33, 5, 12].map { Array(tokens.prefix($0)) }
      let expected = try FamilyModels.engine("llama3-rope").greedy(prompts, count: 7, plan: "full")
      let engine = try engine([server.address], WorkDivision(), lanes: 2)
      #expect(try engine.greedy(prompts, count: 7, plan: "full") == expected)
    }
  }

  /// Each side sends more than a connection holds before it receives anything.
  @Test("who asks again before it has its answer is answered", arguments: [false, true])
  func readingAhead(isShaped: Bool) throws {
    try withTemporaryDirectory { folder in
      let listener = try SocketListener(SocketAddress("unix:\(folder)/echo"))
      defer { listener.close() }
      let (size, frames) = (3 << 20, 4)
      let isStarted = startThread {
        guard let channel = listener.accept(patience: 20_000) else { return }
        for _ in 0..<frames {
          guard let header = try? channel.receiveHeader(), let bytes = try? channel.receiveBytes(header) else { return }
          try? channel.send(header, bytes: bytes)
        }
      }
      #expect(isStarted)
      let connector =
        isShaped
        ? SocketChannel.connector(to: listener.address, patience: 20_000, over: .init(.none))
        : SocketChannel.connector(to: listener.address, patience: 20_000)
      let channel = try connector()
      defer { channel.close() }
      for frame in 0..<frames {
        let bytes = [UInt8](repeating: UInt8(frame), count: size)
        try channel.send(FrameHeader(.queries, batch: UInt64(frame)), bytes: bytes)
      }
      for frame in 0..<frames {
        let header = try channel.receiveHeader()
        #expect(header.batch == UInt64(frame))
        #expect(try channel.receiveBytes(header) == [UInt8](repeating: UInt8(frame), count: size))
      }
    }
  }

  @Test("a shaped network changes nothing but time")
  func shaped() throws {
    let server = try WorkerServer(try worker(), at: SocketAddress("127.0.0.1:0"))
    let relay = try ShapedRelay(
      to: server.address, at: SocketAddress("127.0.0.1:0"), ShapedRelay.Shape(latency: 0.0002, rate: 50e6))
    defer {
      relay.stop()
      server.stop()
    }
    let expected = try expected()
    let engine = try engine([relay.address], WorkDivision())
    #expect(try engine.greedy(expected.prompt, count: 12, plan: "full") == expected.output)
  }

  @Test("answers that come late change nothing but time", arguments: [0.0, 0.002])
  func delayed(latency: Double) throws {
    let server = try WorkerServer(try worker(), at: SocketAddress("127.0.0.1:0"))
    defer { server.stop() }
    let network = ShapedChannel.Network(.init(latency: latency, rate: 20e6))
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(33))
    let expected = try FamilyModels.engine("llama3-rope").greedy([prompt, prompt], count: 5, plan: "full")
    let engine = try FamilyModels.engine("llama3-rope")
    let remote = try RemoteAttention(
      layers: engine.model.configuration.layers, division: WorkDivision(),
      workers: [SocketChannel.connector(to: server.address, patience: 20_000, over: network)],
      key: OffloadKey(TestWorkers.key), team: engine.team, kernels: .current, options: .init(overlap: .always, lanes: 2)
    )
    engine.attend(by: remote)
    #expect(try engine.greedy([prompt, prompt], count: 5, plan: "full") == expected)
    // No answer can come earlier than two ways take.
    let memory = try remote.makeMemory(.full, slotType: .float32)
    #expect(try remote.roundTrip(of: memory, count: 3, pause: 0.001).seconds >= 2 * latency)
  }

  @Test("who does not know the key is told nothing, others are served on")
  func wrongKey() throws {
    let server = try WorkerServer(try worker(), at: SocketAddress("127.0.0.1:0"))
    defer { server.stop() }
    #expect(throws: OffloadError.self) {
      try RemoteAttention(
        layers: OffloadSubject.layers, division: WorkDivision(), workers: [connector(server.address)],
        key: OffloadKey(Array("another key than theirs".utf8)), team: WorkerTeam(threads: 1), kernels: .current)
    }
    // Bytes that are no frame end their own connection.
    let channel = try SocketChannel.connect(to: server.address, patience: 20_000)
    let hello = try channel.receiveHeader()
    _ = try channel.receiveBytes(hello)
    try channel.send(FrameHeader(.queries, batch: 1, layer: 2, format: .float32), bytes: [1, 2, 3, 4])
    #expect(throws: OffloadError.self) { try channel.receiveHeader() }
    let expected = try expected()
    let engine = try engine([server.address], WorkDivision())
    #expect(try engine.greedy(expected.prompt, count: 12, plan: "full") == expected.output)
  }

  @Test("nobody listens")
  func nobody() throws {
    try withTemporaryDirectory { folder in
      let address = try SocketAddress("unix:\(folder)/nobody")
      #expect(throws: OffloadError.self) { try engine([address], WorkDivision()) }
    }
  }

  @Test("a worker that is killed and started again", arguments: [WorkDivision(heads: 2), WorkDivision(requests: 2)])
  func kill(division: WorkDivision) throws {
    try withTemporaryDirectory { folder in
      let addresses = try (0..<2).map { try SocketAddress("unix:\(folder)/\($0)") }
      var processes = try addresses.map { try Self.start($0) }
      defer { for process in processes where process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) } }
      let (prompt, output) = try expected()
      let engine = try engine(addresses, division)
      let victim = division.heads - 1
      let text = try engine.greedy(prompt, count: 12, plan: "full") { token in
        guard token == 5 else { return }
        Foundation.kill(processes[victim].processIdentifier, SIGKILL)
        processes[victim].waitUntilExit()
        do { processes[victim] = try Self.start(addresses[victim]) } catch { Issue.record(error) }
      }
      #expect(text == output)
    }
  }

  /// Starts a worker and waits until it listens.
  private static func start(_ address: SocketAddress) throws -> Process {
    let process = Process()
    process.executableURL = products.appending(path: "AttentionWorkerProcess")
    process.arguments = [address.description]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let line = pipe.fileHandleForReading.availableData
    #expect(String(decoding: line, as: UTF8.self) == "\(address)\n")
    return process
  }

  private static var products: URL {
    #if os(macOS)
      for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") {
        return bundle.bundleURL.deletingLastPathComponent()
      }
    #endif
    return Bundle.main.bundleURL
  }
}

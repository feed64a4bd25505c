package import Engine
package import KVCaches
package import Logging
import Models
import NIOCore
import NIOHTTP1
import NIOPosix
package import SessionStore

/// A server of one model for the APIs of OpenAI and Anthropic.
package final class SluiceServer: Sendable {
  package struct Options: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any that is free.
    package var port = 8080
    package var keys: [String] = []
    package var aliases: [String] = []
    /// What is remembered where a request does not say; nil is StreamingLLM of the trained length, at most 4,096 tokens.
    package var cache: CacheRequest?
    /// F16 without it, unless a cache that is chosen takes another.
    package var slotType: KVCache.SlotType?
    /// Whether answers' next tokens are guessed, where their cache can take guesses back.
    package var speculation = Speculation.automatic
    /// Bytes of all memories together.
    package var memoryBytes = 1 << 30
    /// Requests that are computed together.
    package var parallel = 32
    /// Requests that may wait.
    package var queue = 256
    /// How long running answers may take to finish when the server stops.
    package var drainTime = Duration.seconds(20)
    /// How long clients may take, when the server stops, to read what was computed last.
    package var closingTime = Duration.seconds(2)
    /// The largest body of a request.
    package var bodyBytes = 16 << 20
    /// How long a client may take for the head of a request, in seconds.
    package var headSeconds = 30
    /// How long a client may take for the body of a request, in seconds.
    package var bodySeconds = 60
    /// Where sessions outlive the server; nil where they do not.
    package var sessions: SessionStore?
    /// Takes an event for each request, without its content.
    package var logger = Logger(label: "sluice") { _ in SwiftLogNoOpLogHandler() }

    package init() {}
  }

  /// The port on which the server listens.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let listener: any Channel
  let scheduler: RequestScheduler
  private let drainTime: Duration
  private let closingTime: Duration
  private let sessions: SessionStore?

  /// Starts to listen.
  ///
  /// - Parameter name: by which clients know the model
  /// - Throws: an error of one line where the plan does not fit, NIO's error where the address cannot be had.
  package init(_ loaded: LanguageModel.Loaded, name: String, options: Options = Options()) async throws {
    let access = Access(keys: options.keys, isLoopback: Access.isLocal(options.host))
    let archive = options.sessions.map { SessionArchive($0, model: loaded.fingerprint, access: access) }
    let memory = try options.cache?.resolved(for: loaded.engine.model.configuration, slotType: options.slotType)
    let slotType = memory?.slotType ?? options.slotType ?? .float16
    if let memory, let reason = memory.reason {
      options.logger.notice(
        "a cache was chosen",
        metadata: ["cache": "\(memory.plan)", "slots": "\(slotType.rawValue)", "reason": "\(reason)"])
    }
    let scheduler = RequestScheduler(
      loaded, slotType: slotType,
      limits: RequestRoom.Limits(
        running: options.parallel, bytes: options.memoryBytes, speculation: options.speculation),
      queueLimit: options.queue, archive: archive)
    let model = try ServedModel(
      loaded, identifier: name, aliases: options.aliases, plan: memory?.plan, slotType: slotType,
      speculation: options.speculation, memoryBytes: options.memoryBytes, created: ConversationStore.now())
    let conversations = ConversationStore(archive: archive) { scheduler.save($0, messages: $1, $2) }
    let responder = HTTPResponder(
      access: access,
      routes: Routes(
        model: model, scheduler: scheduler, conversations: conversations, responses: ResponseStore(archive: archive),
        archive: archive),
      logger: options.logger)
    var limits = HTTPConnection.Limits()
    limits.bodyBytes = options.bodyBytes
    limits.headTime = .seconds(Int64(options.headSeconds))
    limits.bodyTime = .seconds(Int64(options.bodySeconds))
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      listener = try await Self.listen(on: options, group, responder, limits)
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
    (self.group, self.scheduler) = (group, scheduler)
    (drainTime, closingTime) = (options.drainTime, options.closingTime)
    sessions = options.sessions
    port = listener.localAddress?.port ?? options.port
  }

  private static func listen(
    on options: Options, _ group: MultiThreadedEventLoopGroup, _ responder: HTTPResponder,
    _ limits: HTTPConnection.Limits
  ) async throws -> any Channel {
    let connections = ConnectionCounter(limit: limits.connections)
    return try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        guard connections.open(channel) else { return channel.close() }
        return channel.eventLoop.makeCompletedFuture {
          var header = NIOHTTPDecoderLimitConfiguration()
          (header.maxHeaderFieldSize, header.maxHeaderListSize, header.maxHeaderFieldCount) = (16 << 10, 64 << 10, 100)
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(
            withEncoderConfiguration: HTTPResponseEncoder.Configuration(), withDecoderLimitConfiguration: header)
          try pipeline.addHandler(HTTPConnection(limits: limits, responder: responder))
        }
      }
      .bind(host: options.host, port: options.port).get()
  }

  /// Stops: no new requests, running answers finish within some seconds or get an error, then the door closes.
  ///
  /// Does nothing the second time.
  package func stop() async {
    guard scheduler.status.drain() else { return }
    let deadline = ContinuousClock.now + drainTime
    while scheduler.status.unanswered > 0, .now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
    scheduler.stop()
    // What was computed last is still on its way to the clients; one that does not read is not waited for.
    let end = ContinuousClock.now + closingTime
    while scheduler.status.isAnswering, .now < end { try? await Task.sleep(for: .milliseconds(5)) }
    await scheduler.settle()
    await sessions?.written()
    await sessions?.leases.settled()
    try? await listener.close()
    try? await group.shutdownGracefully()
  }
}

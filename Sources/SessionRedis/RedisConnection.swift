import NIOCore
import NIOPosix
import SessionStore
import Synchronization

/// A connection to a Redis or Valkey server, made when it is needed and again after it broke.
///
/// Used by threads that may wait, one exchange at a time.
final class RedisConnection: Sendable {
  private struct State {
    var channel: (any Channel)?
    /// Until when nobody tries to connect, since it did not work.
    var restsUntil = ContinuousClock.now
  }

  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let state = Mutex(State())
  private let host: String
  private let port: Int
  /// How long an exchange may take.
  private let patience: TimeAmount

  init(host: String, port: Int, patience: TimeAmount = .seconds(5)) {
    (self.host, self.port, self.patience) = (host, port, patience)
  }

  deinit { group.shutdownGracefully { _ in } }

  /// Sends commands together and waits for their replies; an error that one of them gives is among them.
  ///
  /// - Throws: `TierError.failed` where there is no server, or it takes too long.
  func send(_ commands: [RESPCommand]) throws(TierError) -> [RESPValue] {
    if commands.isEmpty { return [] }
    do {
      return try state.withLock { state in
        do {
          let channel = try connected(&state)
          return try exchange(commands, on: channel)
        } catch {
          // Replies may still come for what was given up, so nothing more is asked there.
          state.channel?.close(promise: nil)
          state.channel = nil
          throw error
        }
      }
    } catch {
      throw .failed("Redis at \(host):\(port): \(error)")
    }
  }

  private func connected(_ state: inout State) throws -> any Channel {
    if let channel = state.channel, channel.isActive { return channel }
    guard ContinuousClock.now >= state.restsUntil else { throw RedisFailure.resting }
    do {
      let channel = try ClientBootstrap(group: group)
        .connectTimeout(min(patience, .seconds(2)))
        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers(
              ByteToMessageHandler(RESPDecoder()), RedisReplies())
          }
        }
        .connect(host: host, port: port).wait()
      state.channel = channel
      return channel
    } catch {
      state.restsUntil = .now + .seconds(1)
      throw error
    }
  }

  private func exchange(_ commands: [RESPCommand], on channel: any Channel) throws -> [RESPValue] {
    var buffer = ByteBuffer()
    for command in commands { command.write(to: &buffer) }
    let (bytes, count) = (buffer, commands.count)
    let patience = patience
    let replies = channel.eventLoop.flatSubmit {
      let promise = channel.eventLoop.makePromise(of: [RESPValue].self)
      let clock = channel.eventLoop.scheduleTask(in: patience) { promise.fail(RedisFailure.slow) }
      promise.futureResult.whenComplete { _ in clock.cancel() }
      do {
        try channel.pipeline.syncOperations.handler(type: RedisReplies.self).expect(count, promise)
      } catch {
        promise.fail(error)
        return promise.futureResult
      }
      channel.writeAndFlush(bytes).whenFailure { promise.fail($0) }
      return promise.futureResult
    }
    return try replies.wait()
  }
}

/// Why an exchange did not come to its end.
enum RedisFailure: Error, CustomStringConvertible {
  case resting, slow, closed

  var description: String {
    switch self {
    case .resting: "could not be reached a moment ago"
    case .slow: "took too long"
    case .closed: "closed the connection"
    }
  }
}

/// Collects the replies of the exchange under way.
private final class RedisReplies: ChannelInboundHandler {
  typealias InboundIn = RESPValue

  private var missing = 0
  private var replies: [RESPValue] = []
  private var promise: EventLoopPromise<[RESPValue]>?

  func expect(_ count: Int, _ promise: EventLoopPromise<[RESPValue]>) {
    (missing, replies, self.promise) = (count, [], promise)
  }

  private func finish() {
    promise?.succeed(replies)
    promise = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    replies.append(unwrapInboundIn(data))
    missing -= 1
    if missing == 0 { finish() }
  }

  func channelInactive(context: ChannelHandlerContext) { fail(RedisFailure.closed) }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(error)
    context.close(promise: nil)
  }

  private func fail(_ error: any Error) {
    promise?.fail(error)
    promise = nil
  }
}

import ModelJSON
import NIOCore
import NIOHTTP1

/// One client's connection: gathers requests within bounds of size and time, and has them answered one after another.
///
/// A client that goes away cancels the task that answers it. Lives on its event loop.
final class HTTPConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  struct Limits: Sendable {
    var bodyBytes = 16 << 20
    /// Until a request's head is there; also how long a connection may rest.
    var headTime = TimeAmount.seconds(30)
    /// Until all of its body is there.
    var bodyTime = TimeAmount.seconds(60)
    /// How long a client may take to read what was written.
    var writeTime = TimeAmount.seconds(60)
    var connections = 512
  }

  private let limits: Limits
  private let responder: HTTPResponder
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []
  /// Whether the request was refused before its end; what still comes of it is dropped.
  private var isRefused = false
  private var task: Task<Void, Never>?
  private var deadline: Scheduled<Void>?

  init(limits: Limits, responder: HTTPResponder) {
    (self.limits, self.responder) = (limits, responder)
  }

  func channelActive(context: ChannelHandlerContext) {
    close(context, after: limits.headTime)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    task?.cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      (self.head, body, isRefused) = (head, [], false)
      close(context, after: limits.bodyTime)
      let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
      if length > limits.bodyBytes { refuse(context) }
    case .body(let buffer):
      guard !isRefused else { return }
      guard body.count + buffer.readableBytes <= limits.bodyBytes else { return refuse(context) }
      body.append(contentsOf: buffer.readableBytesView)
    case .end:
      deadline?.cancel()
      guard !isRefused, let head else { return context.close(promise: nil) }
      answer(head, context)
      body = []
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  /// Answers a request that is too large at once; what still comes is dropped for a while, since to close the connection
  /// on it would take the answer away from the client.
  private func refuse(_ context: ChannelHandlerContext) {
    isRefused = true
    body = []
    close(context, after: .seconds(10))
    let error = RequestError(
      status: 413, code: "request_too_large", message: "the body is larger than \(limits.bodyBytes) bytes")
    let answer = ByteBuffer(string: error.json.text)
    let headers = HTTPHeaders([
      ("content-type", "application/json"), ("content-length", "\(answer.readableBytes)"), ("connection", "close"),
    ])
    // At once and not by a task: what is still to come may end first, and the connection with it.
    let head = HTTPResponseHead(version: .http1_1, status: .payloadTooLarge, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(answer))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let request = HTTPRequest(
      method: head.method, path: String(head.uri.prefix { $0 != "?" }), headers: head.headers, body: body,
      identifier: HTTPResponder.newIdentifier())
    let (channel, limits, responder, keepsAlive) = (context.channel, limits, responder, head.isKeepAlive)
    let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
    let loopContext = NIOLoopBound(context, eventLoop: context.eventLoop)
    task = Task {
      await responder.answer(request, on: channel, limits, keepsAlive: keepsAlive)
      channel.eventLoop.execute {
        guard channel.isActive else { return }
        connection.value.close(loopContext.value, after: limits.headTime)
      }
    }
  }

  private func close(_ context: ChannelHandlerContext, after time: TimeAmount) {
    deadline?.cancel()
    let channel = context.channel
    deadline = context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
  }
}

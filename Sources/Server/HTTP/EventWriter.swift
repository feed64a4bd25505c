import ModelJSON
import NIOCore
import NIOHTTP1

/// Writes server-sent events to one client, waiting for it to read.
struct EventWriter: Sendable {
  let channel: any Channel
  /// How long a client may take to read before it is dropped.
  let patience: TimeAmount

  /// Writes an event with some data on one line.
  ///
  /// - Parameter name: the event's type, for the APIs that have types
  func send(_ data: JSONValue, name: String? = nil) async throws {
    try await send((name.map { "event: \($0)\n" } ?? "") + "data: \(data.text)\n\n")
  }

  /// The end of a stream as OpenAI's clients expect it.
  func sendDone() async throws { try await send("data: [DONE]\n\n") }

  /// A line that clients skip, so that nobody on the way takes the connection for dead.
  func sendComment() async throws { try await send(": waiting\n\n") }

  private func send(_ text: String) async throws {
    try await channel.write(.body(.byteBuffer(ByteBuffer(string: text))), patience: patience)
  }
}

extension Channel {
  /// Writes a part of a response and waits until the system has taken it; a client that does not read is dropped.
  func write(_ part: HTTPServerResponsePart, patience: TimeAmount) async throws {
    let channel = self
    let deadline = eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
    defer { deadline.cancel() }
    try await writeAndFlush(part).get()
  }
}

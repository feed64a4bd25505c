import Kernels

/// A worker in this process that answers each frame as it is sent, on the thread that sends it: the same frames and the
/// same checks as over a socket, without time. For one thread.
package final class InProcessChannel: FrameChannel, @unchecked Sendable {
  private var desk: WorkerDesk
  private var replies: [(header: FrameHeader, bytes: [UInt8])] = []
  private var contents: [UInt8] = []
  private var isClosed = false
  /// Bytes of contents that the worker got.
  package private(set) var receivedBytes = 0
  /// Frames that the worker gets before it is lost; nil where it is not.
  package var framesLeft: Int?

  package init(_ worker: AttentionWorker) {
    desk = WorkerDesk(worker)
    // Nothing is sent that could fail.
    try? desk.greet { header, bytes in replies.append((header, Array(bytes))) }
  }

  deinit { close() }

  package func send(
    _ header: FrameHeader, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) throws(OffloadError) {
    if let left = framesLeft {
      if left == 0 { close() }
      framesLeft = max(0, left - 1)
    }
    guard !isClosed else { throw .lost("the worker in this process is gone") }
    receivedBytes += first.count + second.count
    // The way over a socket: header first, checked, then contents.
    let sent = try withHeaderBytes(of: header)
    try desk.check(sent)
    var bytes = [UInt8](unsafeUninitializedCapacity: first.count + second.count) { target, count in
      let raw = UnsafeMutableRawBufferPointer(target)
      if first.count > 0 { raw.copyMemory(from: first) }
      if second.count > 0 { UnsafeMutableRawBufferPointer(rebasing: raw[first.count...]).copyMemory(from: second) }
      count = first.count + second.count
    }
    let result: Result<Void, OffloadError> = bytes.withUnsafeMutableBytes { bytes in
      Result { () throws(OffloadError) in
        try desk.take(
          sent, UnsafeRawBufferPointer(bytes), end: { [weak self] in self?.close() },
          { header, first in replies.append((header, Array(first))) })
      }
    }
    try result.get()
  }

  private func withHeaderBytes(of header: FrameHeader) throws(OffloadError) -> FrameHeader {
    let bytes = Buffer<UInt8>(count: FrameHeader.size)
    header.write(to: UnsafeMutableRawBufferPointer(bytes.elements))
    return try FrameHeader(UnsafeRawBufferPointer(bytes.elements))
  }

  package func receiveHeader() throws(OffloadError) -> FrameHeader {
    guard !isClosed, !replies.isEmpty else { throw .lost("the worker in this process does not answer") }
    let reply = replies.removeFirst()
    contents = reply.bytes
    return reply.header
  }

  package func receiveContents(into target: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    guard target.count == contents.count else { throw .badFrame("contents of another length") }
    contents.withUnsafeBytes { target.copyMemory(from: $0) }
  }

  package func close() {
    isClosed = true
    desk.end()
  }
}

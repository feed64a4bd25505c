import CLibrary
import KVCaches
import Synchronization

/// A connection that hands answers over as late as a network of some latency and rate would bring them.
///
/// For measurements where a relay (`ShapedRelay`) would take the time that is measured: nothing stands in between. A worker only
/// answers, so what a question takes to get there can be added to what its answer takes. A thread notes when answers come.
package final class ShapedChannel: FrameChannel, @unchecked Sendable {
  /// What the network of some connections does.
  package final class Network: Sendable {
    private let value: Mutex<ShapedRelay.Shape>

    package init(_ shape: ShapedRelay.Shape) { value = Mutex(shape) }

    /// What is under way keeps its time.
    package var shape: ShapedRelay.Shape {
      get { value.withLock { $0 } }
      set { value.withLock { $0 = newValue } }
    }
  }

  private struct Answer {
    let header: FrameHeader
    let bytes: [UInt8]
    /// When it comes out.
    let due: Double
  }

  private let inner: any FrameChannel & Sendable
  private let network: Network
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private var answers: [Answer] = []
  private var failure: OffloadError?
  /// How long the questions that will be answered waited for the wire, in seconds.
  private var delays: [Double] = []
  /// When all that was said so far has been put on the wire, in either direction.
  private var free = (up: 0.0, down: 0.0)
  // Of the thread that receives.
  private var contents: [UInt8] = []

  /// Takes over a connection.
  ///
  /// - Throws: `OffloadError.badSetting` where no thread can be started.
  package init(_ inner: any FrameChannel & Sendable, _ network: Network) throws(OffloadError) {
    (self.inner, self.network) = (inner, network)
    // The hello comes without a question.
    delays.append(0)
    guard startThread({ [self] in receiveAll() }) else { throw .badSetting("no thread can be started") }
  }

  package func send(
    _ header: FrameHeader, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) throws(OffloadError) {
    noteSent(header)
    try inner.send(header, first, second)
  }

  package func send(_ one: OutgoingFrame, _ other: OutgoingFrame) throws(OffloadError) {
    noteSent(one.header)
    noteSent(other.header)
    try inner.send(one, other)
  }

  private func noteSent(_ header: FrameHeader) {
    let now = secondsNow()
    monitor.withLock {
      free.up = max(free.up, now) + seconds(of: header)
      if header.kind != .step, header.kind != .queries { delays.append(free.up - now) }
    }
  }

  private func seconds(of header: FrameHeader) -> Double {
    network.shape.rate.map { Double(FrameHeader.size + header.length) / $0 } ?? 0
  }

  private func receiveAll() {
    var end: OffloadError?
    while end == nil {
      do throws(OffloadError) {
        let header = try inner.receiveHeader()
        let now = secondsNow()
        let bytes = try inner.receiveBytes(header)
        note(header, bytes, at: now)
      } catch {
        end = error
      }
    }
    monitor.withLock {
      failure = end
      monitor.broadcast()
    }
  }

  private func note(_ header: FrameHeader, _ bytes: [UInt8], at now: Double) {
    let shape = network.shape
    monitor.withLock {
      let delay = header.kind == .beat || delays.isEmpty ? 0 : delays.removeFirst()
      free.down = max(free.down, now + delay + shape.latency) + seconds(of: header)
      answers.append(Answer(header: header, bytes: bytes, due: free.down + shape.latency))
      monitor.broadcast()
    }
  }

  package func receiveHeader() throws(OffloadError) -> FrameHeader {
    let (answer, end) = monitor.withLock { () -> (Answer?, OffloadError?) in
      while answers.isEmpty, failure == nil { _ = monitor.wait() }
      return (answers.isEmpty ? nil : answers.removeFirst(), failure)
    }
    guard let answer else { throw end ?? .lost("the connection has ended") }
    let wait = answer.due - secondsNow()
    if wait > Self.sleepSlack { usleep(UInt32((wait - Self.sleepSlack) * 1e6)) }
    while secondsNow() < answer.due {}
    contents = answer.bytes
    return answer.header
  }

  /// A sleep may take so many seconds longer than it should.
  private static let sleepSlack = 100e-6

  package func receiveContents(into target: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    guard target.count == contents.count else { throw .badFrame("contents of another length") }
    contents.withUnsafeBytes { target.copyMemory(from: $0) }
  }

  package func close() { inner.close() }
}

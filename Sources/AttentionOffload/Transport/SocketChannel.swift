import CLibrary
import Kernels
import Synchronization

/// Frames over a TCP or Unix socket: blocking calls of the system, one for a frame that goes out, two for one that comes.
///
/// A layer's exchange is a question and its answer, and who asked waits for it; an event loop in between would add two
/// changes of thread to each. Large pieces are written from where they lie (`writev`).
package final class SocketChannel: FrameChannel, @unchecked Sendable {
  private let descriptor: Int32
  private let name: String
  /// Held while a frame is written, since beats come from another thread.
  private let sending = Mutex(())
  private let isClosed = Atomic<Bool>(false)
  /// Bytes written and read.
  private let sentBytes = Atomic<Int>(0)
  private let receivedBytes = Atomic<Int>(0)
  private let header = Buffer<UInt8>(count: FrameHeader.size)
  /// The headers of frames that go out together.
  private let outgoing = Buffer<UInt8>(count: 2 * FrameHeader.size)
  /// What came while a frame could not go out; nil where nothing is read then.
  private var ahead: ReadAhead?
  /// How a frame is waited for without sleep; nil where the CPU is for others.
  private var spinning: SpinningWait?
  private var patience: Int

  /// Takes over a connected socket.
  ///
  /// - Parameters:
  ///   - patience: the longest wait for a byte, in milliseconds; 0 for ever
  ///   - readsAhead: whether to take in what comes while a frame cannot go out, for a side that asks again before it has its
  ///     answer: both would wait for each other else
  ///   - spins: whether frames that come soon are waited for without sleep
  package init(descriptor: Int32, name: String, patience: Int, readsAhead: Bool = false, spins: Bool = false) {
    self.descriptor = descriptor
    self.name = name
    self.patience = patience
    ahead = readsAhead ? ReadAhead() : nil
    spinning = spins ? SpinningWait() : nil
    set(tcpLevel, TCP_NODELAY, 1)
    set(SOL_SOCKET, SO_KEEPALIVE, 1)
    #if canImport(Glibc) || canImport(Musl)
      // A machine that is gone is noticed within some seconds although nobody on it can say so.
      set(tcpLevel, TCP_KEEPIDLE, 1)
      set(tcpLevel, TCP_KEEPINTVL, 1)
      set(tcpLevel, TCP_KEEPCNT, 4)
    #endif
    setPatience(patience)
  }

  deinit { _ = CLibrary.close(descriptor) }

  private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Sets the longest wait for a byte, in milliseconds; 0 for ever.
  package func setPatience(_ milliseconds: Int) {
    patience = milliseconds
    var time = timeval()
    time.tv_sec = .init(milliseconds / 1000)
    time.tv_usec = .init(milliseconds % 1000 * 1000)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Connects to a worker.
  ///
  /// - Throws: `OffloadError.lost` where nobody answers.
  package static func connect(
    to address: SocketAddress, patience: Int, readsAhead: Bool = true, spins: Bool = false
  ) throws(OffloadError) -> SocketChannel {
    var reason = "no such host"
    let descriptor = address.forEachSystemAddress { family, target, length -> Int32? in
      let descriptor = socket(family, socketKind, 0)
      guard descriptor >= 0 else { return nil }
      guard CLibrary.connect(descriptor, target, length) == 0 else {
        reason = String(cString: strerror(errno))
        _ = CLibrary.close(descriptor)
        return nil
      }
      return descriptor
    }
    guard let descriptor else { throw .lost("attention worker \(address): \(reason)") }
    return SocketChannel(
      descriptor: descriptor, name: "attention worker \(address)", patience: patience, readsAhead: readsAhead,
      spins: spins)
  }

  /// Connects to a worker whenever it is asked.
  ///
  /// - Parameter threads: of this process; where they leave a CPU, answers are waited for without sleep. All, unless told
  package static func connector(
    to address: SocketAddress, patience: Int, threads: Int = .max
  ) -> RemoteAttention.Connector {
    let spins = SpinningWait.isAllowed(threads: threads, for: address)
    return { () throws(OffloadError) -> any FrameChannel in
      let channel: any FrameChannel = try connect(to: address, patience: patience, spins: spins)
      return channel
    }
  }

  /// Connects to a worker whenever it is asked, over a network that is shaped.
  package static func connector(
    to address: SocketAddress, patience: Int, over network: ShapedChannel.Network
  ) -> RemoteAttention.Connector {
    { () throws(OffloadError) -> any FrameChannel in
      // Another thread receives all the time.
      try ShapedChannel(try connect(to: address, patience: patience, readsAhead: false), network)
    }
  }

  package func close() {
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    _ = shutdown(descriptor, Int32(SHUT_RDWR))
  }

  package func send(
    _ header: FrameHeader, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) throws(OffloadError) { try send(OutgoingFrame(header: header, first: first, second: second), then: nil) }

  package func send(_ one: OutgoingFrame, _ other: OutgoingFrame) throws(OffloadError) { try send(one, then: other) }

  private func send(_ one: OutgoingFrame, then other: OutgoingFrame?) throws(OffloadError) {
    let problem: OffloadError? = sending.withLock { _ in
      withUnsafeTemporaryAllocation(of: iovec.self, capacity: 6) { list in
        var bytes = put(one, 0, into: list)
        if let other { bytes += put(other, 1, into: list) }
        return write(UnsafeMutableBufferPointer(rebasing: list[..<(other == nil ? 3 : 6)]), count: bytes)
      }
    }
    if let problem { throw problem }
  }

  /// Lists the pieces of a frame that goes out as number `place`; returns its bytes.
  private func put(_ frame: OutgoingFrame, _ place: Int, into list: UnsafeMutableBufferPointer<iovec>) -> Int {
    let header = outgoing.pointer + place * FrameHeader.size
    frame.header.write(to: UnsafeMutableRawBufferPointer(start: header, count: FrameHeader.size))
    list.initializeElement(at: 3 * place, to: iovec(iov_base: header, iov_len: .init(FrameHeader.size)))
    list.initializeElement(at: 3 * place + 1, to: Self.piece(frame.first))
    list.initializeElement(at: 3 * place + 2, to: Self.piece(frame.second))
    return FrameHeader.size + frame.first.count + frame.second.count
  }

  private static func piece(_ bytes: UnsafeRawBufferPointer) -> iovec {
    iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: .init(bytes.count))
  }

  private func write(_ list: UnsafeMutableBufferPointer<iovec>, count: Int) -> OffloadError? {
    var left = count
    var first = 0
    while left > 0 {
      let rest = UnsafeMutableBufferPointer(rebasing: list[first...])
      let written = ahead == nil ? writev(descriptor, rest.baseAddress, Int32(rest.count)) : writeSome(rest)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return failure(written) }
      sentBytes.wrappingAdd(written, ordering: .relaxed)
      left -= written
      var done = written
      while first < list.count, done >= Int(list[first].iov_len) {
        done -= Int(list[first].iov_len)
        first += 1
      }
      if done > 0 {
        list[first].iov_base = list[first].iov_base.map { $0 + done }
        list[first].iov_len -= .init(done)
      }
    }
    return nil
  }

  /// Writes what can go out at once, at least one byte; until then what comes is taken in.
  private func writeSome(_ list: UnsafeMutableBufferPointer<iovec>) -> Int {
    var message = msghdr()
    (message.msg_iov, message.msg_iovlen) = (list.baseAddress, .init(list.count))
    while true {
      let written = sendmsg(descriptor, &message, dontWait)
      if written >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK) { return written }
      guard ahead?.wait(descriptor, patience: patience) ?? false else { return -1 }
    }
  }

  package func receiveHeader() throws(OffloadError) -> FrameHeader {
    let target = UnsafeMutableRawBufferPointer(header.elements)
    if ahead?.isEmpty ?? true { spinning?.begin(descriptor) }
    try receiveContents(into: target)
    spinning?.end()
    return try FrameHeader(UnsafeRawBufferPointer(target))
  }

  package func receiveContents(into target: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    var offset = ahead?.take(into: target) ?? 0
    while offset < target.count {
      let count = recv(descriptor, target.baseAddress! + offset, target.count - offset, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(count) }
      receivedBytes.wrappingAdd(count, ordering: .relaxed)
      offset += count
    }
  }

  /// Takes as many bytes as there are, at least one; 0 or less where the connection has ended.
  func receiveSome(into target: UnsafeMutableRawBufferPointer) -> Int {
    while true {
      let count = recv(descriptor, target.baseAddress, target.count, 0)
      if count >= 0 || errno != EINTR { return count }
    }
  }

  /// Sends bytes as they are; false where the connection has ended.
  func sendSome(_ bytes: UnsafeRawBufferPointer) -> Bool {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: 1) { list in
      list.initializeElement(at: 0, to: Self.piece(bytes))
      return write(list, count: bytes.count) == nil
    }
  }

  /// Bytes written and read so far.
  package var traffic: (sent: Int, received: Int) {
    (sentBytes.load(ordering: .relaxed), receivedBytes.load(ordering: .relaxed))
  }

  private func failure(_ result: Int) -> OffloadError {
    if result == 0 || isClosed.load(ordering: .relaxed) { return .lost("\(name) has closed the connection") }
    let isSlow = errno == EAGAIN || errno == EWOULDBLOCK
    return .lost("\(name): \(isSlow ? "it does not answer" : String(cString: strerror(errno)))")
  }
}

private let tcpLevel = Int32(IPPROTO_TCP)

let dontWait = Int32(MSG_DONTWAIT)

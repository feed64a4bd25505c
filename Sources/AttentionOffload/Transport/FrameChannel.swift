/// One side of a connection that carries frames, in order.
///
/// A frame comes header first, so that who receives can refuse its length before there is room for it. One thread sends and one
/// receives.
package protocol FrameChannel: AnyObject {
  /// Sends a frame whose contents are two pieces, one after the other; both are free when it returns.
  func send(
    _ header: FrameHeader, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) throws(OffloadError)

  /// Sends two frames, in one go where the channel can.
  func send(_ one: OutgoingFrame, _ other: OutgoingFrame) throws(OffloadError)

  /// Waits for the next frame's header.
  func receiveHeader() throws(OffloadError) -> FrameHeader

  /// Takes the contents of the frame whose header came last.
  func receiveContents(into target: UnsafeMutableRawBufferPointer) throws(OffloadError)

  /// Ends the connection; whoever waits on it gets an error. May be called by any thread.
  func close()
}

/// A frame that goes out, its contents in two pieces.
package struct OutgoingFrame {
  package let header: FrameHeader
  package let first: UnsafeRawBufferPointer
  package let second: UnsafeRawBufferPointer
}

extension FrameChannel {
  package func send(_ one: OutgoingFrame, _ other: OutgoingFrame) throws(OffloadError) {
    try send(one.header, one.first, one.second)
    try send(other.header, other.first, other.second)
  }

  package func send(_ header: FrameHeader, _ contents: UnsafeRawBufferPointer) throws(OffloadError) {
    try send(header, contents, UnsafeRawBufferPointer(start: nil, count: 0))
  }

  package func send(_ header: FrameHeader) throws(OffloadError) {
    try send(header, UnsafeRawBufferPointer(start: nil, count: 0))
  }

  /// Sends a frame of some bytes, whose header gets their count.
  package func send(_ header: FrameHeader, bytes: [UInt8]) throws(OffloadError) {
    var header = header
    header.length = bytes.count
    let result: Result<Void, OffloadError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try self.send(header, bytes) }
    }
    try result.get()
  }

  /// Takes contents whose length was found good.
  package func receiveBytes(_ header: FrameHeader) throws(OffloadError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: header.length)
    let result: Result<Void, OffloadError> = bytes.withUnsafeMutableBytes { bytes in
      Result { () throws(OffloadError) in try self.receiveContents(into: bytes) }
    }
    try result.get()
    return bytes
  }
}

import CLibrary

/// Bytes that came over a connection while a frame waited to go out.
struct ReadAhead {
  /// Beyond so many bytes the other side has to wait.
  private static let limit = 64 << 20
  private static let pieceBytes = 1 << 16

  private var bytes: [UInt8] = []
  private var taken = 0

  var isEmpty: Bool { bytes.isEmpty }

  /// Takes out what is there, in the order in which it came.
  ///
  /// - Returns: how many bytes of `target` are filled.
  mutating func take(into target: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(target.count, bytes.count - taken)
    guard count > 0 else { return 0 }
    bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<taken + count])) }
    taken += count
    if taken == bytes.count {
      bytes.removeAll(keepingCapacity: true)
      taken = 0
    }
    return count
  }

  /// Waits until the connection takes bytes, and takes in what comes until then.
  ///
  /// - Parameter patience: the longest wait, in milliseconds; 0 for ever
  /// - Returns: false with `errno` where it took too long or the connection has ended.
  mutating func wait(_ descriptor: Int32, patience: Int) -> Bool {
    while true {
      var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let hasRoom = bytes.count - taken < Self.limit
      if hasRoom { entry.events |= Int16(POLLIN) }
      let ready = poll(&entry, 1, patience > 0 ? Int32(clamping: patience) : -1)
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else {
        if ready == 0 { errno = EAGAIN }
        return false
      }
      if hasRoom, entry.revents & Int16(POLLIN) != 0, !receive(descriptor) { return false }
      if entry.revents & ~Int16(POLLIN) != 0 { return true }
    }
  }

  private mutating func receive(_ descriptor: Int32) -> Bool {
    let count = withUnsafeTemporaryAllocation(byteCount: Self.pieceBytes, alignment: 16) { piece in
      let count = recv(descriptor, piece.baseAddress, piece.count, dontWait)
      if count > 0 { bytes.append(contentsOf: piece[..<count]) }
      return count
    }
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))
  }
}

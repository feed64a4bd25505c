import CLibrary

/// A file while it arrives. What is written stays when the process ends, so that a later one goes on behind it.
final class PartialFile {
  let path: String
  private let descriptor: Int32
  private(set) var count = 0
  private var isClosed = false

  /// Opens a file for writing behind what it holds, or makes it.
  init(_ path: String) throws(HubError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw StoredFile.failure(path, "cannot be written") }
    let end = lseek(descriptor, 0, SEEK_END)
    count = max(0, Int(end))
  }

  deinit {
    if !isClosed { close(descriptor) }
  }

  /// All bytes so far, in pieces.
  func read(_ body: (UnsafeRawBufferPointer) throws(HubError) -> Void) throws(HubError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < count {
      let got = pread(descriptor, buffer.baseAddress, min(buffer.count, count - offset), off_t(offset))
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { throw StoredFile.failure(path, "cannot be read") }
      try body(UnsafeRawBufferPointer(rebasing: buffer.prefix(got)))
      offset += got
    }
  }

  /// Writes bytes behind the others. Where the disk is full what fitted stays.
  func append(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
    var rest = bytes
    while !rest.isEmpty {
      let written = write(descriptor, rest.baseAddress, rest.count)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw StoredFile.failure(path, "cannot be written") }
      count += written
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
    }
  }

  /// Forgets what has arrived.
  func truncate() throws(HubError) {
    guard ftruncate(descriptor, 0) == 0 || count == 0 else { throw StoredFile.failure(path, "cannot be written") }
    lseek(descriptor, 0, SEEK_SET)
    count = 0
  }

  /// Closes the file once its bytes are on the disk.
  func finish() throws(HubError) {
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw StoredFile.failure(path, "cannot be written")
    }
    isClosed = true
    guard close(descriptor) == 0 else { throw StoredFile.failure(path, "cannot be written") }
  }
}

import CLibrary

/// A whole file mapped read-only: opening costs nothing per byte, pages come from the file when they are touched.
///
/// The mapping lives as long as this object. A file that another process shortens while it is mapped makes the next
/// touch of a lost page end this process (SIGBUS); replace model files by renaming, never by writing into them.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  /// The file's bytes; empty for an empty file. Valid while the object lives.
  package let bytes: UnsafeRawBufferPointer

  /// Throws where the path cannot be opened, is no regular file, or a pointer of Git LFS to a file that was not fetched.
  package init(path: String) throws(WeightsError) {
    self.path = path
    // A pipe without a writer would block a plain open.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Self.failure(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.failure(path) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw WeightsError(.notRegular, path: path) }
    let count = Int(status.st_size)
    guard count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard address != MAP_FAILED, let address else { throw Self.failure(path) }
    bytes = UnsafeRawBufferPointer(start: address, count: count)
    // A repository that was cloned without its large files has pointers to them in their places.
    if bytes.starts(with: Self.largeFilePointer) { throw WeightsError(.largeFilePointer, path: path) }
  }

  private static let largeFilePointer = Array("version https://git-lfs".utf8)

  deinit {
    if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
  }

  /// A copy of a whole file, for small ones.
  package static func contents(of path: String) throws(WeightsError) -> [UInt8] {
    let file = try MappedFile(path: path)
    return withExtendedLifetime(file) { Array(file.bytes) }
  }

  /// Tells the system that the bytes are not needed for now: the whole pages inside the range leave memory and are
  /// read again from the file when they are touched.
  package func release(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "released range outside the file")
    let page = Int(getpagesize())
    let first = (range.lowerBound + page - 1) / page * page
    let last = range.upperBound == bytes.count ? range.upperBound : range.upperBound / page * page
    guard first < last, let address = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: address + first), last - first, MADV_DONTNEED)
  }

  private static func failure(_ path: String) -> WeightsError {
    WeightsError(.cannotOpen(reason: String(cString: strerror(errno))), path: path)
  }
}

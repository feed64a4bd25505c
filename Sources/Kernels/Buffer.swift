import CLibrary

/// A fixed number of elements, 64-byte aligned and zeroed, freed with the last reference.
///
/// Sharing is the caller's responsibility: kernels of several threads write disjoint parts of one buffer. Buffers of
/// 4 MiB and more touch no page before it is written, and ask for huge pages unless they are made `sparse`.
package final class Buffer<Element: BitwiseCopyable>: @unchecked Sendable {
  @usableFromInline
  package let pointer: UnsafeMutablePointer<Element>
  @usableFromInline
  package let count: Int

  private let mappedBytes: Int

  /// - Parameter sparse: Written a little at a time, far apart: memory is taken in small pages, as it is written. With huge
  ///   ones the first token of a cache of 180 MiB would have all of it zeroed.
  package init(count: Int, sparse: Bool = false) {
    precondition(count >= 0, "a buffer cannot have a negative count")
    let (bytes, overflow) = max(count, 1).multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
    precondition(!overflow, "a buffer must fit in the address space")
    let memory: UnsafeMutableRawPointer
    if bytes >= Self.mappedFrom {
      (memory, mappedBytes) = Self.map(bytes: bytes, sparse: sparse)
    } else {
      memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      mappedBytes = 0
    }
    pointer = memory.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit {
    if mappedBytes > 0 {
      munmap(pointer, mappedBytes)
    } else {
      UnsafeMutableRawPointer(pointer).deallocate()
    }
  }

  @inlinable
  package subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index out of range")
      return pointer[index]
    }
    set {
      precondition(index >= 0 && index < count, "index out of range")
      pointer[index] = newValue
    }
  }

  /// The elements as a buffer pointer, valid as long as the buffer.
  @inlinable
  package var elements: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// Buffers of so many bytes take no memory before they are written.
  package static var mappedFrom: Int { 4 << 20 }

  /// Fresh zeroed pages. Exhausted address space is out of memory, which ends the process as any allocation does.
  private static func map(bytes: Int, sparse: Bool) -> (UnsafeMutableRawPointer, Int) {
    #if canImport(Glibc)
      let flags = MAP_PRIVATE | MAP_ANONYMOUS
    #else
      let flags = MAP_PRIVATE | MAP_ANON
    #endif
    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let memory, memory != MAP_FAILED else { preconditionFailure("out of memory: \(bytes) bytes") }
    #if canImport(Glibc)
      // 14 is MADV_HUGEPAGE, 15 MADV_NOHUGEPAGE; a refusal only costs speed.
      madvise(memory, bytes, sparse ? 15 : 14)
    #endif
    return (memory, bytes)
  }
}

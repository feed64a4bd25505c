#if canImport(Glibc)
  import Glibc
  import Testing

  @testable import Kernels

  /// What a large buffer takes of memory before it is full.
  @Suite struct SparseBufferTests {
    /// Pages of a buffer that are in memory.
    private func residentPages(_ buffer: Buffer<UInt8>) -> Int {
      let size = Int(sysconf(Int32(_SC_PAGESIZE)))
      var flags = [UInt8](repeating: 0, count: buffer.count / size)
      #expect(mincore(buffer.pointer, buffer.count, &flags) == 0)
      return flags.filter { $0 & 1 == 1 }.count
    }

    @Test func takesOnlyPagesThatWereWritten() {
      let buffer = Buffer<UInt8>(count: 64 << 20, sparse: true)
      #expect(residentPages(buffer) == 0)
      for start in stride(from: 0, to: buffer.count, by: 1 << 20) { buffer[start] = 1 }
      #expect(residentPages(buffer) == 64)
      #expect(buffer[(1 << 20) + 1] == 0)
    }
  }
#endif

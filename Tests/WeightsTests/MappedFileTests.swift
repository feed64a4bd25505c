import TestSupport
import Testing
import Weights

/// A mapping shows the file's bytes, survives the release of its pages and outlives the file's name.
struct MappedFileTests {
  private let content = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

  @Test func showsTheBytes() throws {
    let file = try withTemporaryDirectory { try MappedFile(path: write(content, to: "file", in: $0)) }
    #expect(Array(file.bytes) == content)
  }

  @Test(arguments: [0..<0, 0..<1, 0..<50_000, 1..<49_999, 4096..<8192, 5000..<50_000, 50_000..<50_000])
  func releasedPagesComeBack(_ range: Range<Int>) throws {
    try withTemporaryDirectory { folder in
      let file = try MappedFile(path: write(content, to: "file", in: folder))
      file.release(range)
      #expect(Array(file.bytes) == content)
    }
  }

  @Test func anEmptyFileHasNoBytes() throws {
    let file = try withTemporaryDirectory { try MappedFile(path: write("", to: "file", in: $0)) }
    #expect(file.bytes.isEmpty)
    file.release(0..<0)
  }

  @Test func aTensorKeepsTheMapping() throws {
    func tensor() throws -> Tensor {
      try withTemporaryDirectory { folder in
        let path = try write(sampleGGUF().bytes(), to: "model.gguf", in: folder)
        return try WeightFile.open(path).tensor("norm.weight")
      }
    }
    let tensor = try tensor()
    tensor.release()
    #expect(tensor.floats() == [1, -2, 0.5, 3e-5, 65504])
  }

  @Test func refusesAFolderAndNothing() throws {
    try withTemporaryDirectory { folder in
      let directory = try #require(throws: WeightsError.self) { try MappedFile(path: folder) }
      #expect(directory.description == "\(folder): is no regular file")
      let absent = try #require(throws: WeightsError.self) { try MappedFile(path: folder + "/absent") }
      #expect(absent.description == "\(folder)/absent: cannot be opened: No such file or directory")
      #expect(absent.path == folder + "/absent")
    }
  }
}

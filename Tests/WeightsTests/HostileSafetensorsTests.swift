import TestSupport
import Testing
import Weights

/// Safetensors files that are cut, damaged or lie: always the typed error or tensors inside the file, never a crash.
struct HostileSafetensorsTests {
  @Test func everyTruncationIsRefused() throws {
    let bytes = sampleSafetensors().bytes()
    try withTemporaryDirectory { folder in
      let file = try ScratchFile(bytes, in: folder, name: "model.safetensors")
      for count in (0..<bytes.count).reversed() {
        try file.truncate(to: count)
        #expect(throws: WeightsError.self, "\(count) bytes") { try WeightFile.open(file.path) }
      }
    }
  }

  @Test func everyDamagedByteIsHarmless() throws {
    let writer = sampleSafetensors()
    let bytes = writer.bytes()
    var refused = 0
    var accepted = 0
    try withTemporaryDirectory { folder in
      let file = try ScratchFile(bytes, in: folder, name: "model.safetensors")
      #expect(examine(file.path, "intact").errors.map(\.tensor) == ["model.mask"])
      for offset in 0..<8 + writer.header().utf8.count {
        for byte in replacements(of: bytes[offset]) {
          try file.set(offset, to: byte)
          if examine(file.path, "byte \(offset) = \(byte)").opened { accepted += 1 } else { refused += 1 }
        }
        try file.set(offset, to: bytes[offset])
      }
    }
    #expect(refused > 1000 && accepted > 500)
  }

  struct Lie: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let expected: String
    let bytes: @Sendable () -> [UInt8]

    init(_ name: String, _ expected: String, _ change: @escaping @Sendable (inout SafetensorsWriter) -> Void) {
      testDescription = name
      self.expected = expected
      bytes = {
        var writer = SafetensorsWriter()
        writer.add("a", [2, 3], [1, 2, 3, 4, 5, 6])
        writer.add("b", [4], [1, 2, 3, 4], as: .float16)
        change(&writer)
        return writer.bytes()
      }
    }
  }

  static let lies: [Lie] = [
    Lie("header longer than the file", "claims 4096 for the length of the header") { $0.headerLength = 4096 },
    Lie("header of 2^63", "claims 9223372036854775808 for the length") { $0.headerLength = 1 << 63 },
    Lie("header of 2^64 - 1", "claims 18446744073709551615 for the length") { $0.headerLength = .max },
    Lie("header of 0", "expected a value") { $0.headerLength = 0 },
    Lie("header cut", "malformed header: line 1, column") { $0.headerLength = 40 },
    Lie("an array", "malformed header: it is an array, not an object") { $0.headerText = "[{}]" },
    Lie("no JSON", "malformed header: line 1, column 1: expected a value") { $0.headerText = "hello" },
    Lie("nested deep", "nested deeper than") { $0.headerText = "{\"a\":" + String(repeating: "[", count: 100_000) },
    Lie("data without tensors", "tensor data without a tensor") { $0.headerText = "{}" },
    Lie("a tensor twice", "tensor 'a' occurs twice") { $0.tensors[1].name = "a" },
    Lie("dtype is a number", "its dtype is no string") {
      $0.headerText = "{\"a\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,4]}}"
    },
    Lie("tensor is a list", "its dtype is no string") { $0.headerText = "{\"a\":[1,2]}" },
    Lie("no shape", "its shape is no array") {
      $0.headerText = "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}"
    },
    Lie("dimension 0 with bytes", "has 24 bytes, its shape needs 0 as F32") { $0.tensors[0].shape = "[0,3]" },
    Lie("dimension -2", "has a dimension of -2") { $0.tensors[0].shape = "[-2,-3]" },
    Lie("dimension 1.5", "has a dimension of 1.5") { $0.tensors[0].shape = "[1.5,4]" },
    Lie("dimension as text", "has a dimension of \"2\"") { $0.tensors[0].shape = "[\"2\",3]" },
    Lie("dimension 2^31", "has a dimension of 2147483648") { $0.tensors[0].shape = "[2147483648]" },
    Lie("9 dimensions", "has 9 dimensions") { $0.tensors[0].shape = "[1,1,1,1,1,1,2,3,1]" },
    Lie("product overflows", "more elements than any file") {
      $0.tensors[0].shape = "[2147483647,2147483647,2147483647]"
    },
    Lie("bytes overflow", "more elements than any file") { $0.tensors[0].shape = "[2147483647,2147483647]" },
    Lie("shape too small", "has 24 bytes, its shape needs 20 as F32") { $0.tensors[0].shape = "[5]" },
    Lie("shape too large", "has 24 bytes, its shape needs 28 as F32") { $0.tensors[0].shape = "[7]" },
    Lie("another dtype", "has 24 bytes, its shape needs 12 as BF16") { $0.tensors[0].dtype = "BF16" },
    Lie("offsets reversed", "data_offsets are reversed") { $0.tensors[0].offsets = "[24,0]" },
    Lie("offsets negative", "data_offsets are not two offsets") { $0.tensors[0].offsets = "[-24,0]" },
    Lie("one offset", "data_offsets are not two offsets") { $0.tensors[0].offsets = "[24]" },
    Lie("three offsets", "data_offsets are not two offsets") { $0.tensors[0].offsets = "[0,24,48]" },
    Lie("offsets as text", "data_offsets are not two offsets") { $0.tensors[0].offsets = "[\"0\",\"24\"]" },
    Lie("offsets beyond the file", "tensor 'b' reaches to byte 40 of 32") { $0.tensors[1].offsets = "[32,40]" },
    Lie("offsets of 2^62", "reaches to byte 4611686018427387912 of 32") {
      $0.tensors[1].offsets = "[4611686018427387904,4611686018427387912]"
    },
    Lie("offsets of 1e300", "data_offsets are not two offsets") { $0.tensors[1].offsets = "[0,1e300]" },
    Lie("overlap", "tensor 'b' overlaps tensor 'a'") { $0.tensors[1].offsets = "[20,28]" },
    Lie("a gap", "tensor 'a' has bytes that belong to no tensor") {
      $0.tensors[0].data = [UInt8](repeating: 0, count: 28)
      $0.tensors[0].offsets = "[4,28]"
    },
    Lie("bytes left over", "tensor 'b' has bytes that belong to no tensor") { $0.trailing = [0] },
    Lie("metadata is a list", "__metadata__ is no object of strings") {
      $0.headerText = "{\"__metadata__\":[]}"
    },
    Lie("metadata of numbers", "__metadata__ is no object of strings") {
      $0.headerText = "{\"__metadata__\":{\"a\":1}}"
    },
  ]

  @Test(arguments: lies)
  func refuses(_ lie: Lie) throws {
    try withTemporaryDirectory { folder in
      let path = try write(lie.bytes(), to: "model.safetensors", in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(path) }
      #expect(error.description.contains(lie.expected), "\(error)")
      #expect(error.description.hasPrefix(path) && !error.description.contains("\n"))
    }
  }

  /// The file is sparse: a hundred megabytes that are never written.
  @Test func refusesAHeaderBeyondTheLimit() throws {
    var writer = SafetensorsWriter()
    writer.headerLength = 100_000_001
    try withTemporaryDirectory { folder in
      let file = try ScratchFile(writer.bytes(), in: folder, name: "model.safetensors")
      try file.truncate(to: 100_000_100)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(file.path) }
      #expect(error.description.contains("claims 100000001 for the length of the header, at most 100000000"))
    }
  }

  @Test func takesTensorsWithoutElements() throws {
    var writer = SafetensorsWriter()
    for shape in [[0], [0, 3], [3, 0]] { writer.add("\(shape)", shape, []) }
    writer.add("a", [2], [1, 2])
    writer.add("last", [0], [])
    let model = try withTemporaryDirectory { try WeightFile.open(write(writer.bytes(), to: "model", in: $0)) }
    #expect(try model.tensor("a").floats() == [1, 2])
    #expect(try model.tensor("[3, 0]").floats() == [] && model.tensor("[0, 3]").info.shape == [0, 3])
  }

  @Test func namesTheTypesItCannotRead() throws {
    var writer = SafetensorsWriter()
    writer.add("mask", [2], dtype: "F8_E4M3", data: [1, 2])
    writer.add("odd", [3], dtype: "X7", data: [1, 2])
    let model = try withTemporaryDirectory { try WeightFile.open(write(writer.bytes(), to: "model", in: $0)) }
    #expect(model.tensorNames == ["mask", "odd"])
    let mask = try #require(throws: WeightsError.self) { try model.tensor("mask") }
    #expect(mask.description.contains("tensor 'mask' is stored as F8_E4M3, which this version cannot read"))
    let odd = try #require(throws: WeightsError.self) { try model.tensor("odd") }
    #expect(odd.description.contains("is stored as the unknown type 'X7', which"))
  }
}

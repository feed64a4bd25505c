import TestSupport
import Testing
import Weights

/// GGUF files that are cut, damaged or lie: always the typed error or tensors inside the file, never a crash.
struct HostileGGUFTests {
  @Test func everyTruncationIsRefused() throws {
    let bytes = sampleGGUF().bytes()
    try withTemporaryDirectory { folder in
      let file = try ScratchFile(bytes, in: folder, name: "model.gguf")
      for count in (0..<bytes.count).reversed() {
        try file.truncate(to: count)
        #expect(throws: WeightsError.self, "\(count) bytes") { try WeightFile.open(file.path) }
      }
    }
  }

  @Test func everyDamagedByteIsHarmless() throws {
    let writer = sampleGGUF()
    let bytes = writer.bytes()
    var refused = 0
    var accepted = 0
    try withTemporaryDirectory { folder in
      let file = try ScratchFile(bytes, in: folder, name: "model.gguf")
      #expect(examine(file.path, "intact").errors.map(\.tensor) == ["blk.0.attn_q.weight"])
      for offset in writer.header().indices {
        for byte in replacements(of: bytes[offset]) {
          try file.set(offset, to: byte)
          if examine(file.path, "byte \(offset) = \(byte)").opened { accepted += 1 } else { refused += 1 }
        }
        try file.set(offset, to: bytes[offset])
      }
    }
    #expect(refused > 1000 && accepted > 1000)
  }

  struct Lie: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let expected: String
    let bytes: @Sendable () -> [UInt8]

    init(_ name: String, _ expected: String, _ change: @escaping @Sendable (inout GGUFWriter) -> Void) {
      testDescription = name
      self.expected = expected
      bytes = {
        var writer = GGUFWriter()
        writer.add("a.weight", [2, 32], [Float](repeating: 1, count: 64))
        writer.add("b.weight", [64], [Float](repeating: 2, count: 64), as: .q8_0)
        change(&writer)
        return writer.bytes()
      }
    }
  }

  @Test func takesTensorsWithoutElements() throws {
    var writer = GGUFWriter()
    writer.add("none", [0, 32], [], as: .q8_0)
    writer.add("a", [2], [1, 2])
    let model = try withTemporaryDirectory { try WeightFile.open(write(writer.bytes(), to: "model", in: $0)) }
    #expect(try model.tensor("a").floats() == [1, 2] && model.tensor("none").info.shape == [0, 32])
  }

  static let lies: [Lie] = [
    Lie("version 1", "is GGUF version 1, which is no longer read") { $0.version = 1 },
    Lie("version 0", "is GGUF version 0; versions 2 and 3") { $0.version = 0 },
    Lie("version 4", "is GGUF version 4; versions 2 and 3") { $0.version = 4 },
    Lie("big-endian", "is a big-endian GGUF file") { $0.version = UInt32(3).byteSwapped },
    Lie("2^60 tensors", "claims 1152921504606846976 for the number of tensors") { $0.tensorCount = 1 << 60 },
    Lie("2^60 keys", "claims 1152921504606846976 for the number of metadata keys") { $0.keyCount = 1 << 60 },
    Lie("one tensor too many", "tensor '' has 0 dimensions") { $0.tensorCount = 3 },
    Lie("one key too many", "") { $0.keyCount = 1 },
    Lie("a tensor twice", "tensor 'a.weight' occurs twice") { $0.tensors[1].name = "a.weight" },
    Lie("a key twice", "metadata 'k' occurs twice") { $0.metadata = [("k", .bool(true)), ("k", .bool(true))] },
    Lie("offset past the end", "tensor 'b.weight' reaches to byte 1048644 of 324") { $0.tensors[1].offset = 1 << 20 },
    Lie("offset one step past the end", "reaches to byte 356 of 324") { $0.tensors[1].offset = 288 },
    Lie("offset near 2^64", "reaches to byte 2^64") { $0.tensors[1].offset = UInt64.max - 31 },
    Lie("offset 2^63", "tensor 'b.weight' reaches to byte 9223372036854775876") { $0.tensors[1].offset = 1 << 63 },
    Lie("unaligned offset", "starts at 257, which is no multiple of 32") { $0.tensors[1].offset = 257 },
    Lie("overlap", "tensor 'b.weight' overlaps tensor 'a.weight'") { $0.tensors[1].offset = 224 },
    Lie("same place", "overlaps tensor") { $0.tensors[1].offset = 0 },
    Lie("no dimension", "has 0 dimensions") { $0.tensors[0].dimensions = [] },
    Lie("5 dimensions", "has 5 dimensions") { $0.tensors[0].dimensions = [32, 2, 1, 1, 1] },
    Lie("2^32 - 1 dimensions", "has 4294967295 dimensions") { $0.tensors[0].dimensionCount = .max },
    Lie("dimension 2^31", "has a dimension of 2147483648") { $0.tensors[0].dimensions = [1 << 31] },
    Lie("dimension 2^64 - 1", "has a dimension of 18446744073709551615") { $0.tensors[0].dimensions = [.max] },
    Lie("product overflows", "more elements than any file") {
      $0.tensors[0].dimensions = [UInt64](repeating: 1 << 30, count: 4)
    },
    Lie("bytes overflow", "more elements than any file") {
      $0.tensors[0].dimensions = [1 << 21, 1 << 21, 1 << 20]
    },
    Lie("large product", "tensor 'a.weight' reaches to byte 4611686018427387900") {
      $0.tensors[0].dimensions = [1073741823, 1073741825]
    },
    Lie("rows of 48 in blocks of 32", "has rows of 48 elements, which Q8_0 cannot store: it takes blocks of 32") {
      $0.tensors[1].dimensions = [48]
    },
    Lie("rows of 128 in blocks of 256", "has rows of 128 elements, which Q4_K cannot store") {
      $0.tensors[1].dimensions = [128]
      $0.tensors[1].type = 12
    },
    Lie("invalid key", "has invalid UTF-8 in a metadata key") {
      $0.keyCount = 1
      $0.rawMetadata = [1, 0, 0, 0, 0, 0, 0, 0, 0xff, 7, 0, 0, 0, 1]
    },
    Lie("key of 2^62 bytes", "claims 4611686018427387904 for the length of a metadata key") {
      $0.keyCount = 1
      $0.rawMetadata = [0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0]
    },
    Lie("string of 2^62 bytes", "metadata 'k' claims 4611686018427387904 for the length of a string") {
      $0.metadata = [("k", .raw(type: 8, [0, 0, 0, 0, 0, 0, 0, 0x40]))]
    },
    Lie("string of 2^64 - 1 bytes", "claims 18446744073709551615") {
      $0.metadata = [("k", .raw(type: 8, [UInt8](repeating: 0xff, count: 8)))]
    },
    Lie("key longer than a key", "at most 65535 can be true") {
      $0.metadata = [(String(repeating: "k", count: 70_000), .bool(true))]
    },
    Lie("array of 2^60 strings", "claims 1152921504606846976 for the length of an array") {
      $0.metadata = [("k", .raw(type: 9, [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]))]
    },
    Lie("array of 2^63 doubles", "claims 9223372036854775808 for the length of an array") {
      $0.metadata = [("k", .raw(type: 9, [12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]))]
    },
    Lie("array of 2^40 arrays", "for the length of an array") {
      $0.metadata = [("k", .raw(type: 9, [9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]))]
    },
    Lie("unknown value type", "metadata 'k' has the unknown value type 13") {
      $0.metadata = [("k", .raw(type: 13, [0, 0, 0, 0]))]
    },
    Lie("unknown element type", "has the unknown value type 4294967295") {
      $0.metadata = [("k", .array(elementType: .max, []))]
    },
    Lie("arrays 10,000 deep", "nests arrays deeper than 16 levels") {
      let level: [UInt8] = [9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
      $0.metadata = [("k", .raw(type: 9, (0..<10_000).flatMap { _ in level }))]
    },
    Lie("alignment 0", "'general.alignment' is 0; an alignment is") {
      $0.metadata = [("general.alignment", .uint32(0))]
    },
    Lie("alignment 3", "is 3; an alignment is") { $0.metadata = [("general.alignment", .uint32(3))] },
    Lie("alignment 24", "is 24; an alignment is") { $0.metadata = [("general.alignment", .uint32(24))] },
    Lie("alignment -32", "is -32; an alignment is") { $0.metadata = [("general.alignment", .int32(-32))] },
    Lie("alignment 2^40", "is 1099511627776; an alignment is") {
      $0.metadata = [("general.alignment", .uint64(1 << 40))]
    },
    Lie("alignment as text", "is a string, not an integer") { $0.metadata = [("general.alignment", .string("32"))] },
    Lie("alignment that the file does not keep", "of 0 bytes of tensor data") {
      $0.metadata = [("general.alignment", .uint32(1 << 20))]
    },
  ]

  @Test(arguments: lies)
  func refuses(_ lie: Lie) throws {
    try withTemporaryDirectory { folder in
      let path = try write(lie.bytes(), to: "model.gguf", in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(path) }
      #expect(error.description.contains(lie.expected), "\(error)")
      #expect(error.description.hasPrefix(path) && !error.description.contains("\n"))
    }
  }

  /// A string that is no UTF-8 harms only who asks for it.
  @Test func invalidTextIsAnErrorWhenAskedFor() throws {
    var writer = GGUFWriter()
    writer.metadata = [
      ("bad", .raw(type: 8, [1, 0, 0, 0, 0, 0, 0, 0, 0xff])), ("good", .string("x")),
    ]
    try withTemporaryDirectory { folder in
      let model = try WeightFile.open(write(writer.bytes(), to: "model.gguf", in: folder))
      #expect(try model.metadata.string("good") == "x")
      let error = try #require(throws: WeightsError.self) { try model.metadata.string("bad") }
      #expect(error.description.contains("metadata 'bad' has invalid UTF-8"))
    }
  }

  /// Names from the file cannot break the line or hide in it.
  @Test func errorsStayOnOneShortLine() throws {
    var writer = GGUFWriter()
    writer.add("a\nb\u{1B}[31m\u{202E}" + String(repeating: "x", count: 5000), [1], type: 12, data: [])
    writer.tensors[0].dimensions = [1 << 31]
    try withTemporaryDirectory { folder in
      let path = try write(writer.bytes(), to: "model.gguf", in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(path) }
      #expect(error.description.contains("a\\nb\\u{1B}[31m\\u{202E}xxx"))
      #expect(error.description.count < 600)
    }
  }
}

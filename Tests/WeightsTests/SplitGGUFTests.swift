import Foundation
import TestSupport
import Testing
import Weights

/// Models that lie in several GGUF files.
struct SplitGGUFTests {
  private static let ending = "-of-00003.gguf"

  /// Parts as gguf-split writes them; the first holds the description, and tensors unless it is bare.
  private static func parts(bare: Bool = false) -> [GGUFWriter] {
    (0..<3).map { index in
      var writer = GGUFWriter()
      writer.metadata =
        index == 0 ? [("general.architecture", .string("llama")), ("general.alignment", .uint32(64))] : []
      writer.alignment = index == 0 ? 64 : 32
      writer.metadata += [
        ("split.no", .uint16(UInt16(index))), ("split.count", .uint16(3)),
        ("split.tensors.count", .int32(bare ? 4 : 6)),
      ]
      guard !(bare && index == 0) else { return writer }
      writer.add("blk.\(index).a", [2], [Float(index), 1])
      writer.add("blk.\(index).b", [32], type: 39, data: [UInt8](repeating: UInt8(100 + index), count: 17))
      return writer
    }
  }

  private static func name(_ number: Int) -> String { "Model-Q4_K_M-0000\(number)" + ending }

  private func withParts<Result>(
    _ parts: [GGUFWriter], names: [String] = (1...3).map { name($0) }, _ body: (String) throws -> Result
  ) throws -> Result {
    try withTemporaryDirectory { folder in
      for (part, name) in zip(parts, names) { try write(part.bytes(), to: name, in: folder) }
      return try body(folder)
    }
  }

  @Test(arguments: [false, true]) func theFirstPartOpensAll(bare: Bool) throws {
    let model = try withParts(Self.parts(bare: bare)) { try WeightFile.open($0 + "/" + Self.name(1)) }
    #expect(model.files.count == 3 && model.format == .gguf(version: 3))
    #expect(model.tensorNames == ((bare ? 1 : 0)..<3).flatMap { ["blk.\($0).a", "blk.\($0).b"] })
    #expect(try model.metadata.string("general.architecture") == "llama")
    for index in (bare ? 1 : 0)..<3 {
      #expect(try model.tensor("blk.\(index).a").floats() == [Float(index), 1])
      #expect(try Array(model.tensor("blk.\(index).b").bytes) == [UInt8](repeating: UInt8(100 + index), count: 17))
    }
  }

  @Test func thePartsAreFoundBehindALink() throws {
    let model = try withParts(Self.parts(), names: ["x", "y", "z"]) { folder in
      for (number, name) in zip(1...3, ["x", "y", "z"]) {
        try FileManager.default.createSymbolicLink(atPath: folder + "/" + Self.name(number), withDestinationPath: name)
      }
      return try WeightFile.open(folder + "/" + Self.name(1))
    }
    #expect(model.tensorNames.count == 6)
  }

  /// Parts that have been joined keep the keys, with a count of 0.
  @Test(arguments: [0, 1] as [UInt16]) func aWholeModelMayHaveTheKeys(count: UInt16) throws {
    var writer = Self.parts()[0]
    writer.metadata[3].value = .uint16(count)
    writer.metadata[4].value = .int32(2)
    let model = try withParts([writer], names: ["whole.gguf"]) { try WeightFile.open($0 + "/whole.gguf") }
    #expect(model.tensorNames == ["blk.0.a", "blk.0.b"] && model.files.count == 1)
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    let what: String
    var opened = name(1)
    var names = (1...3).map { name($0) }
    let expected: [String]
    var change: @Sendable (inout [GGUFWriter]) -> Void = { _ in }

    var testDescription: String { what }
  }

  /// Where `split.no`, `split.count` and `split.tensors.count` begin among a part's keys.
  private static let keys = [2, 0, 0]

  static let faults = [
    Fault(
      what: "the second is missing", names: [name(1), "other", name(3)],
      expected: [name(1) + ": is part 1 of 3 of a split model; part 2 is missing, ", "/" + name(2)]),
    Fault(
      what: "the last is missing", names: [name(1), name(2), "other"],
      expected: ["part 3 is missing, ", "/" + name(3)]),
    Fault(
      what: "two are exchanged", names: [name(1), name(3), name(2)],
      expected: [name(2) + ": is part 3 of 3 of a split model, where part 2 of 3 belongs"]),
    Fault(
      what: "the second is of another count",
      expected: [name(2) + ": is part 2 of 4 of a split model, where part 2 of 3 belongs"]
    ) { $0[1].metadata[keys[1] + 1].value = .uint16(4) },
    Fault(
      what: "the second is a whole model",
      expected: [name(2) + ": is no part of a split model, where part 2 of 3 belongs"]
    ) { $0[1].metadata = [] },
    Fault(
      what: "the second is of another version", expected: [name(2) + ": is GGUF version 7"]
    ) { $0[1].version = 7 },
    Fault(
      what: "a later part is opened", opened: name(2),
      expected: [name(2) + ": is part 2 of 3 of a split model; open the first, /", "/" + name(1)]),
    Fault(
      what: "a later part of another name is opened", opened: "b.gguf", names: ["a.gguf", "b.gguf", "c.gguf"],
      expected: ["b.gguf: is part 2 of 3 of a split model; open the first, whose name ends in -00001-of-00003.gguf"]),
    Fault(
      what: "the first has another name", opened: "a.gguf", names: ["a.gguf", name(2), name(3)],
      expected: [
        "a.gguf: is part 1 of 3 of a split model, but its name does not end in -00001-of-00003.gguf, so the others cannot "
      ]),
    Fault(what: "there is a part beyond the count", expected: ["says that it is part 4 of 3 of a split model"]) {
      $0[0].metadata[keys[0]].value = .uint16(3)
    },
    Fault(what: "the number is missing", expected: ["metadata 'split.no' does not exist"]) {
      $0[0].metadata.remove(at: keys[0])
    },
    Fault(
      what: "tensors are missing",
      expected: ["is the first part of a split model of 7 tensors, but all parts together have 6"]
    ) { $0[0].metadata[keys[0] + 2].value = .int32(7) },
    Fault(what: "two parts have the same tensor", expected: [name(3) + ": tensor 'blk.1.a' occurs twice"]) {
      $0[2].tensors[0].name = "blk.1.a"
    },
  ]

  @Test(arguments: faults) func refuses(_ fault: Fault) throws {
    var parts = Self.parts()
    fault.change(&parts)
    let error = try withParts(parts, names: fault.names) { folder in
      try #require(throws: WeightsError.self) { try WeightFile.open(folder + "/" + fault.opened) }
    }
    for text in fault.expected { #expect(error.description.contains(text), "\(error)") }
    #expect(!error.description.contains("\n"))
  }
}

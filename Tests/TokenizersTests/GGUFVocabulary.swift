import Foundation

@testable import Tokenizers

/// A minimal reader of the key-values of a well-formed GGUF file, so that these tests stand on their own.
struct GGUFVocabulary {
  private(set) var strings: [String: String] = [:]
  private(set) var integers: [String: Int] = [:]
  private(set) var booleans: [String: Bool] = [:]
  private(set) var stringArrays: [String: [String]] = [:]
  private(set) var integerArrays: [String: [Int32]] = [:]
  private(set) var floatArrays: [String: [Float]] = [:]

  init(path: String) throws {
    var reader = Reader(data: try Data(contentsOf: URL(filePath: path), options: .alwaysMapped))
    _ = reader.read(UInt32.self)
    _ = reader.read(UInt32.self)
    _ = reader.read(UInt64.self)
    for _ in 0..<reader.read(UInt64.self) {
      let key = reader.readString()
      let type = reader.read(UInt32.self)
      if type != 9 {
        switch type {
        case 7: booleans[key] = reader.read(UInt8.self) != 0
        case 8: strings[key] = reader.readString()
        default: integers[key] = reader.readInteger(type)
        }
        continue
      }
      let element = reader.read(UInt32.self)
      let count = Int(reader.read(UInt64.self))
      switch element {
      case 8: stringArrays[key] = (0..<count).map { _ in reader.readString() }
      case 6: floatArrays[key] = (0..<count).map { _ in Float(bitPattern: reader.read(UInt32.self)) }
      default: integerArrays[key] = (0..<count).map { _ in Int32(truncatingIfNeeded: reader.readInteger(element)) }
      }
    }
  }

  /// What the tokenizer is built from.
  var description: TokenizerDescription {
    let prefix = "tokenizer.ggml."
    var description = TokenizerDescription(
      model: strings[prefix + "model"] ?? "", preTokenizer: strings[prefix + "pre"],
      tokens: stringArrays[prefix + "tokens"] ?? [])
    description.scores = floatArrays[prefix + "scores"] ?? []
    description.kinds = integerArrays[prefix + "token_type"] ?? []
    description.merges = stringArrays[prefix + "merges"] ?? []
    description.beginOfSequence = integers[prefix + "bos_token_id"]
    description.endOfSequence = integers[prefix + "eos_token_id"]
    description.endOfTurn = integers[prefix + "eot_token_id"]
    description.endOfMessage = integers[prefix + "eom_token_id"]
    description.unknown = integers[prefix + "unknown_token_id"]
    description.addsBeginOfSequence = booleans[prefix + "add_bos_token"]
    description.addsSpacePrefix = booleans[prefix + "add_space_prefix"]
    return description
  }

  private struct Reader {
    let data: Data
    var position = 0

    mutating func read<Value: FixedWidthInteger>(_: Value.Type) -> Value {
      defer { position += MemoryLayout<Value>.size }
      return data.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Value.self)) }
    }

    mutating func readString() -> String {
      let count = Int(read(UInt64.self))
      defer { position += count }
      return data.withUnsafeBytes { String(decoding: $0[position..<position + count], as: UTF8.self) }
    }

    mutating func readInteger(_ type: UInt32) -> Int {
      switch type {
      case 0: Int(read(UInt8.self))
      case 1: Int(read(Int8.self))
      case 2: Int(read(UInt16.self))
      case 3: Int(read(Int16.self))
      case 4: Int(read(UInt32.self))
      case 5: Int(read(Int32.self))
      case 6: Int(Float(bitPattern: read(UInt32.self)).rounded())
      case 10: Int(truncatingIfNeeded: read(UInt64.self))
      case 11: Int(read(Int64.self))
      default: Int(truncatingIfNeeded: read(UInt64.self))
      }
    }
  }
}

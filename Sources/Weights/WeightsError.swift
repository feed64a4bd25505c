/// Why a model's file or a part of it cannot be used: which file, which tensor or metadata key, at which byte.
///
/// One line of text, with everything that comes from the file quoted and shortened.
public struct WeightsError: Error, Sendable, Hashable {
  enum Code: Sendable, Hashable {
    case cannotOpen(reason: String)
    case notRegular
    case unrecognised
    case directoryLacks(String)
    case adapterLacks(String)
    case bigEndian
    case version(UInt32)
    case truncated(part: String)
    case implausible(part: String, value: UInt64, limit: Int)
    case invalidText(part: String)
    case unknownValueType(UInt32)
    case nestedTooDeep(limit: Int)
    case badAlignment(String)
    case duplicateKey
    case duplicateTensor
    case dimensionCount(UInt64)
    case badDimension(String)
    case tooLarge
    case notWholeBlocks(columns: Int, type: String, blockSize: Int)
    case unaligned(offset: UInt64, alignment: Int)
    case beyondFile(end: String, size: Int)
    case overlap(with: String)
    case gap
    case sizeMismatch(stored: Int, needed: Int, type: String)
    case header(reason: String)
    case json(reason: String)
    case largeFilePointer
    case shardName(String)
    case shardLacksTensor(shard: String)
    case laterPart(number: Int, count: Int, first: String?, ending: String)
    case partName(count: Int, ending: String)
    case missingPart(number: Int, count: Int, name: String)
    case badPart(number: Int, count: Int)
    case otherPart(number: Int, count: Int, foundNumber: Int?, foundCount: Int?)
    case partTensors(found: Int, expected: Int)
    case unsupportedType(String)
    case noSuchTensor
    case noSuchKey
    case wrongKind(found: String, wanted: String)
  }

  /// What the error is about, inside the file.
  enum Subject: Sendable, Hashable {
    case file
    case tensor(String)
    case key(String)
  }

  let code: Code
  /// The file or directory.
  public let path: String
  let subject: Subject
  /// The byte of the file where the trouble is, where there is one.
  public let offset: Int?

  init(_ code: Code, path: String, subject: Subject = .file, offset: Int? = nil) {
    self.code = code
    self.path = path
    self.subject = subject
    self.offset = offset
  }

  /// The tensor that the error is about.
  public var tensor: String? {
    if case .tensor(let name) = subject { name } else { nil }
  }

  /// The metadata key that the error is about.
  public var key: String? {
    if case .key(let name) = subject { name } else { nil }
  }

  /// Whether the file lacks the tensor or key that was asked for.
  package var isMissing: Bool { code == .noSuchTensor || code == .noSuchKey }
}

extension WeightsError: CustomStringConvertible {
  public var description: String {
    let place = offset.map { " (at byte \($0))" } ?? ""
    return switch subject {
    case .file: "\(Self.printable(path)): \(reason)\(place)"
    case .tensor(let name): "\(Self.printable(path)): tensor '\(Self.printable(name))' \(reason)\(place)"
    case .key(let name): "\(Self.printable(path)): metadata '\(Self.printable(name))' \(reason)\(place)"
    }
  }

  private var reason: String {
    switch code {
    case .cannotOpen(let reason): "cannot be opened: \(reason)"
    case .notRegular: "is no regular file"
    case .unrecognised: "is neither GGUF nor safetensors"
    case .directoryLacks(let name):
      "has no \(name); a model's directory holds config.json and model.safetensors or model.safetensors.index.json"
    case .adapterLacks(let name):
      "has no \(name); an adapter's directory holds adapter_config.json and adapter_model.safetensors"
    case .bigEndian: "is a big-endian GGUF file; only little-endian files can be read"
    case .version(1): "is GGUF version 1, which is no longer read; convert the model again to get version 3"
    case .version(let version): "is GGUF version \(version); versions 2 and 3 can be read"
    case .truncated(let part): "ends inside \(part)"
    case .implausible(let part, let value, let limit): "claims \(value) for \(part), at most \(limit) can be true"
    case .invalidText(let part): "has invalid UTF-8 in \(part)"
    case .unknownValueType(let type): "has the unknown value type \(type)"
    case .nestedTooDeep(let limit): "nests arrays deeper than \(limit) levels"
    case .badAlignment(let value): "is \(value); an alignment is a power of two from 8 to 1048576"
    case .duplicateKey: "occurs twice"
    case .duplicateTensor: "occurs twice"
    case .dimensionCount(let count): "has \(count) dimensions"
    case .badDimension(let value): "has a dimension of \(Self.printable(value)); 0 to 2147483647 are possible"
    case .tooLarge: "has more elements than any file can hold"
    case .notWholeBlocks(let columns, let type, let blockSize):
      "has rows of \(columns) elements, which \(type) cannot store: it takes blocks of \(blockSize)"
    case .unaligned(let offset, let alignment): "starts at \(offset), which is no multiple of \(alignment)"
    case .beyondFile(let end, let size): "reaches to byte \(end) of \(size) bytes of tensor data"
    case .overlap(let name): "overlaps tensor '\(Self.printable(name))'"
    case .gap: "has bytes that belong to no tensor before or after it"
    case .sizeMismatch(let stored, let needed, let type): "has \(stored) bytes, its shape needs \(needed) as \(type)"
    case .header(let reason): "has a malformed header: \(reason)"
    case .json(let reason): reason
    case .largeFilePointer: "is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    case .shardName(let name): "names the file '\(Self.printable(name))', which is not a plain file name"
    case .shardLacksTensor(let shard): "is not in '\(Self.printable(shard))', where the index says it is"
    case .laterPart(let number, let count, let first, let ending):
      "is part \(number) of \(count) of a split model; open the first, "
        + (first.map(Self.printable) ?? "whose name ends in \(ending)")
    case .partName(let count, let ending):
      "is part 1 of \(count) of a split model, but its name does not end in \(ending), so the others cannot be found"
    case .missingPart(let number, let count, let name):
      "is part 1 of \(count) of a split model; part \(number) is missing, \(Self.printable(name))"
    case .badPart(let number, let count): "says that it is part \(number) of \(count) of a split model"
    case .otherPart(let number, let count, let foundNumber?, let foundCount?):
      "is part \(foundNumber) of \(foundCount) of a split model, where part \(number) of \(count) belongs"
    case .otherPart(let number, let count, _, _):
      "is no part of a split model, where part \(number) of \(count) belongs"
    case .partTensors(let found, let expected):
      "is the first part of a split model of \(expected) tensors, but all parts together have \(found)"
    case .unsupportedType(let type):
      "is stored as \(Self.printable(type)), which this version cannot read; take the model as a GGUF file in Q4_K_M or "
        + "Q8_0 (types that can be read: \(StoredType.readableNames))"
    case .noSuchTensor: "does not exist"
    case .noSuchKey: "does not exist"
    case .wrongKind(let found, let wanted): "is \(found), not \(wanted)"
    }
  }

  /// Text from a file made fit for one line: control characters escaped, cut at 200 characters.
  private static func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars.prefix(200) {
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator, .format: result += scalar.escaped(asASCII: true)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return text.unicodeScalars.count > 200 ? result + "..." : result
  }
}

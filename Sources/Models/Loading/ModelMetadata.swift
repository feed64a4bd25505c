import KVCaches
import Kernels
import Weights

/// The numbers of a model's file, under the names of both kinds of files.
struct ModelMetadata {
  /// What GGUF, after the architecture's name, and Hugging Face call a number.
  struct Key {
    let gguf: [String]
    let huggingFace: [String]

    init(_ gguf: String..., huggingFace: String...) {
      self.init(gguf: gguf, huggingFace: huggingFace)
    }

    init(gguf: [String], huggingFace: [String]) {
      self.gguf = gguf
      self.huggingFace = huggingFace
    }
  }

  let file: WeightFile
  let isGGUF: Bool
  let architecture: String
  private let prefix: String

  /// - Throws: where the file names no architecture.
  init(_ file: WeightFile) throws {
    self.file = file
    switch file.format {
    case .gguf:
      isGGUF = true
      architecture = try file.metadata.string("general.architecture")
      prefix = architecture + "."
    case .huggingFace:
      isGGUF = false
      architecture = try file.metadata.string("model_type")
      // Models of text and images keep what is said of text apart.
      prefix = file.metadata.contains("text_config") ? "text_config." : ""
    case .safetensors: throw ModelError.unsupported("there is no config.json beside the weights", in: file.path)
    }
  }

  func integer(_ key: Key, default standard: Int? = nil) throws -> Int {
    if let standard { return try integer(ifPresent: key) ?? standard }
    return try integer(ifPresent: key) ?? file.metadata.integer(names(key)[0])
  }

  /// A number, which some files write down once for each layer.
  func integer(ifPresent key: Key) throws -> Int? {
    guard let name = present(key) else { return nil }
    guard isList(key), let number = try file.metadata.integers(name).onlyElement else {
      return try file.metadata.integer(ifPresent: name)
    }
    return number
  }

  func double(_ key: Key, default standard: Double? = nil) throws -> Double {
    if let standard { return try double(ifPresent: key) ?? standard }
    return try double(ifPresent: key) ?? file.metadata.double(names(key)[0])
  }

  func double(ifPresent key: Key) throws -> Double? {
    guard let name = present(key) else { return nil }
    guard isList(key), let number = try file.metadata.doubles(name).onlyElement else {
      return try file.metadata.double(ifPresent: name)
    }
    return number
  }

  func string(ifPresent key: Key) throws -> String? { try present(key).flatMap(file.metadata.string(ifPresent:)) }

  func bool(ifPresent key: Key) throws -> Bool? { try present(key).flatMap(file.metadata.bool(ifPresent:)) }

  func strings(ifPresent key: Key) throws -> [String]? { try present(key).flatMap(file.metadata.strings(ifPresent:)) }

  func integers(ifPresent key: Key) throws -> [Int]? { try present(key).flatMap(file.metadata.integers(ifPresent:)) }

  func doubles(ifPresent key: Key) throws -> [Double]? { try present(key).flatMap(file.metadata.doubles(ifPresent:)) }

  /// A number that some files give for each layer: `[layer]`.
  func integers(_ key: Key, layers: Int, default standard: Int? = nil) throws -> [Int] {
    guard isList(key), let name = present(key) else {
      return [Int](repeating: try integer(key, default: standard), count: layers)
    }
    let numbers = try file.metadata.integers(name)
    guard numbers.count == layers else { throw bad(name, "names \(numbers.count) layers, but there are \(layers)") }
    return numbers
  }

  /// A number, or the largest of those that a file gives for each layer.
  func largest(_ key: Key, default standard: Int? = nil) throws -> Int {
    guard isList(key), let name = present(key) else { return try integer(key, default: standard) }
    return try file.metadata.integers(name).max() ?? standard ?? 0
  }

  func bools(ifPresent key: Key) throws -> [Bool]? { try present(key).flatMap(file.metadata.bools(ifPresent:)) }

  /// Whether the value is a list, which some keys may be.
  func isList(_ key: Key) -> Bool { present(key).map { file.metadata.count(ofArray: $0) != nil } ?? false }

  /// The first of a number's names that the file has.
  private func present(_ key: Key) -> String? { names(key).first(where: file.metadata.contains) }

  private func names(_ key: Key) -> [String] { (isGGUF ? key.gguf : key.huggingFace).map { prefix + $0 } }

  /// Whether the file holds a tensor of that name, or of one that ends in it.
  func hasTensor(_ name: String) -> Bool {
    file.hasTensor(name) || file.tensorNames.contains { $0.hasSuffix("." + name) }
  }

  func unsupported(_ what: String) -> ModelError { .unsupported(what, in: file.path) }

  func bad(_ key: String, _ reason: String) -> ModelError { .badValue(key, reason, in: file.path) }
}

extension Array where Element: Equatable {
  /// The value of all elements, where there is one.
  fileprivate var onlyElement: Element? {
    guard let first, allSatisfy({ $0 == first }) else { return nil }
    return first
  }
}

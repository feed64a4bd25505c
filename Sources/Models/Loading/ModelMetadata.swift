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
    return try file.metadata.integer(present(key) ?? names(key)[0])
  }

  func integer(ifPresent key: Key) throws -> Int? { try present(key).flatMap(file.metadata.integer(ifPresent:)) }

  func double(_ key: Key, default standard: Double? = nil) throws -> Double {
    if let standard { return try double(ifPresent: key) ?? standard }
    return try file.metadata.double(present(key) ?? names(key)[0])
  }

  func double(ifPresent key: Key) throws -> Double? { try present(key).flatMap(file.metadata.double(ifPresent:)) }

  func string(ifPresent key: Key) throws -> String? { try present(key).flatMap(file.metadata.string(ifPresent:)) }

  func bool(ifPresent key: Key) throws -> Bool? { try present(key).flatMap(file.metadata.bool(ifPresent:)) }

  func strings(ifPresent key: Key) throws -> [String]? { try present(key).flatMap(file.metadata.strings(ifPresent:)) }

  func bools(ifPresent key: Key) throws -> [Bool]? { try present(key).flatMap(file.metadata.bools(ifPresent:)) }

  /// Whether the value is a list, which some keys may be.
  func isList(_ key: Key) -> Bool { present(key).map { file.metadata.count(ofArray: $0) != nil } ?? false }

  /// The first of a number's names that the file has.
  private func present(_ key: Key) -> String? { names(key).first(where: file.metadata.contains) }

  private func names(_ key: Key) -> [String] { (isGGUF ? key.gguf : key.huggingFace).map { prefix + $0 } }

  func unsupported(_ what: String) -> ModelError { .unsupported(what, in: file.path) }

  func bad(_ key: String, _ reason: String) -> ModelError { .badValue(key, reason, in: file.path) }
}

extension ModelMetadata {
  /// The feed-forward's activation, by the names of Hugging Face; GGUF implies it.
  func activation(default standard: Activation) throws -> Activation {
    switch try string(ifPresent: Key(huggingFace: "hidden_activation", "hidden_act")) {
    case nil: standard
    case "silu", "swish": .silu
    case "gelu": .geluErf
    case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": .geluTanh
    case .some(let name): throw unsupported("the activation '\(name)' is not supported")
    }
  }

  /// The numbers that every family has, checked once, so that no later product can overflow.
  func sizes(heads: Int? = nil, keyValueHeads: Int? = nil, headDim: Int? = nil, trainedLength: Int? = nil) throws
    -> ModelSizes
  {
    let hidden = try integer(Key("embedding_length", huggingFace: "hidden_size"))
    let heads = try integer(Key("attention.head_count", huggingFace: "num_attention_heads"), default: heads)
    let headDim =
      try integer(ifPresent: Key("attention.key_length", huggingFace: "head_dim")) ?? headDim ?? hidden / max(heads, 1)
    let sizes = ModelSizes(
      vocabulary: try integer(ifPresent: Key(huggingFace: "vocab_size")) ?? embeddingRows(), hidden: hidden,
      feedForward: try integer(Key("feed_forward_length", huggingFace: "intermediate_size")),
      layers: try integer(Key("block_count", huggingFace: "num_hidden_layers")), heads: heads,
      keyValueHeads: try integer(
        Key("attention.head_count_kv", huggingFace: "num_key_value_heads"), default: keyValueHeads ?? heads),
      headDim: headDim,
      trainedLength: try integer(
        Key("context_length", huggingFace: "max_position_embeddings"), default: trainedLength))
    try sizes.check(in: file)
    return sizes
  }

  private func embeddingRows() throws -> Int {
    let name = isGGUF ? "token_embd.weight" : file.tensorNames.first { $0.hasSuffix("embed_tokens.weight") }
    return try file.tensor(name ?? "embed_tokens.weight").info.shape.first ?? 0
  }

  /// The small number under a norm's root.
  func epsilon(_ key: Key, default standard: Double? = nil) throws -> Float {
    let epsilon = try double(key, default: isGGUF ? nil : standard)
    guard epsilon.isFinite, epsilon >= 0 else { throw bad("norm epsilon", "must not be \(epsilon)") }
    return Float(epsilon)
  }
}

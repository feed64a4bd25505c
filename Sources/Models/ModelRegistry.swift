import KVCaches
package import Kernels
package import Weights

/// The architectures this version runs.
package enum ModelRegistry {
  private struct Architecture: Sendable {
    /// Its name in GGUF files, adapters included.
    let ggufName: String
    /// Whether its GGUF files hold the rows of queries and keys in the order of interleaved rotary pairs.
    let interleavesInGGUF: Bool
    let configure: @Sendable (WeightFile) throws -> ModelConfiguration
    let load: @Sendable (TensorSource, ModelConfiguration) throws -> any DecoderModel
  }

  /// Architecture names as GGUF (`general.architecture`) and Hugging Face (`model_type`) give them.
  private static let architectures: [String: Architecture] = [
    "llama": llama,
    "mistral": llama,
  ]

  private static let llama = Architecture(
    ggufName: "llama", interleavesInGGUF: true, configure: { try .llama($0) }, load: { try Llama($0, $1) })

  /// Loads the model of a file, with adapters whose effects add up.
  ///
  /// - Throws: `WeightsError` where a file is broken, `ModelError` where the model cannot be run or an adapter does not
  ///   fit it.
  package static func load(
    _ file: WeightFile, adapters: [LowRankAdapter] = [], team: WorkerTeam
  ) throws -> any DecoderModel {
    let architecture = try architecture(of: file)
    var configuration = try architecture.configure(file)
    let adapters = try AdapterSet(
      adapters, base: file, architecture: architecture.ggufName,
      interleaves: architecture.interleavesInGGUF, headDim: configuration.attention.headDim)
    configuration.lowRankWidth = adapters.widestGroup
    let tied = try file.format == .huggingFace && file.metadata.bool(ifPresent: "tie_word_embeddings") ?? false
    let source = TensorSource(file: file, team: team, tiesOutput: tied, adapters: adapters)
    let model = try architecture.load(source, configuration)
    try adapters.checkAllUsed()
    return model
  }

  /// The numbers of a file's model, without its weights.
  ///
  /// - Throws: as `load(_:team:)` does.
  package static func configuration(of file: WeightFile) throws -> ModelConfiguration {
    try architecture(of: file).configure(file)
  }

  private static func architecture(of file: WeightFile) throws -> Architecture {
    let name =
      switch file.format {
      case .gguf: try file.metadata.string("general.architecture")
      case .huggingFace: try file.metadata.string("model_type")
      case .safetensors: throw ModelError.unsupported("there is no config.json beside the weights", in: file.path)
      }
    guard let architecture = architectures[name] else {
      throw ModelError.unknownArchitecture(name, known: architectures.keys.sorted(), in: file.path)
    }
    return architecture
  }
}

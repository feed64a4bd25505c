package import Kernels
package import Weights

/// The architectures this version runs.
package enum ModelRegistry {
  private typealias Loader = @Sendable (WeightFile, WorkerTeam) throws -> any DecoderModel

  /// Architecture names as GGUF (`general.architecture`) and Hugging Face (`model_type`) give them.
  private static let loaders: [String: Loader] = [
    "llama": loadLlama,
    "mistral": loadLlama,
  ]

  private static let loadLlama: Loader = { file, team in
    let tied = try file.format == .huggingFace && file.metadata.bool(ifPresent: "tie_word_embeddings") ?? false
    return try Llama(TensorSource(file: file, team: team, tiesOutput: tied), .llama(file))
  }

  /// Loads the model of a file.
  ///
  /// - Throws: `WeightsError` where the file is broken, `ModelError` where the model cannot be run.
  package static func load(_ file: WeightFile, team: WorkerTeam) throws -> any DecoderModel {
    let architecture = try architecture(of: file)
    guard let load = loaders[architecture] else {
      throw ModelError.unknownArchitecture(architecture, known: loaders.keys.sorted(), in: file.path)
    }
    return try load(file, team)
  }

  private static func architecture(of file: WeightFile) throws -> String {
    switch file.format {
    case .gguf: try file.metadata.string("general.architecture")
    case .huggingFace: try file.metadata.string("model_type")
    case .safetensors: throw ModelError.unsupported("there is no config.json beside the weights", in: file.path)
    }
  }
}

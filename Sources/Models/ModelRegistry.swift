import KVCaches
package import Kernels
package import Weights

/// The architectures this version runs.
package enum ModelRegistry {
  /// By the names that GGUF (`general.architecture`) and Hugging Face (`model_type`) give them.
  private static let families: [String: any ModelFamily.Type] = [
    "llama": Llama.self, "mistral": Llama.self, "mixtral": Llama.self,
    "mistral3": Mistral3.self, "ministral3": Mistral3.self,
    "qwen2": Qwen2.self, "qwen3": Qwen3.self, "qwen3moe": Qwen3.self, "qwen3_moe": Qwen3.self,
    "qwen35": Qwen35.self, "qwen35moe": Qwen35.self, "qwen3_5": Qwen35.self, "qwen3_5_text": Qwen35.self,
    "qwen3_5_moe": Qwen35.self, "qwen3_5_moe_text": Qwen35.self,
    "gemma": Gemma.self, "gemma2": Gemma2.self, "gemma3": Gemma3.self, "gemma3_text": Gemma3.self,
    "gemma4": Gemma4.self, "gemma4_text": Gemma4.self, "gemma4_unified": Gemma4.self,
    "gemma4_unified_text": Gemma4.self,
    "gpt-oss": GPTOSS.self, "gpt_oss": GPTOSS.self, "gptoss": GPTOSS.self, "phi3": Phi3.self,
    "gptneox": GPTNeoX.self, "gpt_neox": GPTNeoX.self, "falcon": Falcon.self, "mpt": MPT.self,
    "granite": Granite.self, "granitemoe": Granite.self, "granitemoeshared": Granite.self,
    "granitemoehybrid": Granite.self,
    "lfm2": LFM2.self, "lfm2moe": LFM2.self, "lfm2_moe": LFM2.self, "olmo2": OLMo2.self, "olmo3": OLMo2.self,
    "smollm3": SmolLM3.self, "command-r": Cohere.self, "cohere": Cohere.self, "cohere2": Cohere.self,
    "starcoder2": StarCoder2.self, "stablelm": StableLM.self, "phi2": Phi2.self, "phi": Phi2.self,
    "qwen2moe": Qwen2MoE.self, "qwen2_moe": Qwen2MoE.self, "seed_oss": SeedOSS.self, "ernie4_5": Ernie45.self,
    "glm4": GLM4.self, "exaone4": EXAONE4.self,
  ]

  /// Loads the model of a file, with adapters whose effects add up.
  ///
  /// - Parameter queriesFirst: whether queries are multiplied apart from keys and values, so that a memory elsewhere has them
  ///   sooner; results are the same bit for bit
  /// - Throws: `WeightsError` where a file is broken, `ModelError` where the model cannot be run or an adapter does not
  ///   fit it.
  package static func load(
    _ file: WeightFile, adapters: [LowRankAdapter] = [], team: WorkerTeam, queriesFirst: Bool = false
  ) throws -> any DecoderModel {
    let metadata = try ModelMetadata(file)
    let type = try family(of: metadata)
    let family = try type.init(metadata)
    let adapters = try AdapterSet(
      adapters, base: file, family: type, headDim: family.configuration.attention.headDim)
    let source = TensorSource(
      file: file, names: type.names, configuration: try family.configuration.withMemory(of: file, adapters),
      team: team, adapters: adapters)
    let tied = try metadata.bool(ifPresent: .init(huggingFace: "tie_word_embeddings"))
    if !source.isGGUF, tied == false, !family.tiesOutput, !source.has(.output) {
      throw ModelError.unusableTensor(
        type.names.text(.output, "weight", in: file.format) ?? "lm_head.weight",
        "is missing, and the embedding does not stand for it: 'tie_word_embeddings' is false", in: file.path)
    }
    let model = try GraphModel(family, source, queriesFirst: queriesFirst)
    try adapters.checkAllUsed()
    return model
  }

  /// The numbers of a file's model and of its adapters, those that heads have learned for their attention among them, without
  /// weights.
  ///
  /// - Throws: as `load(_:team:)` does.
  package static func configuration(
    of file: WeightFile, adapters: [LowRankAdapter] = []
  ) throws -> ModelConfiguration {
    let metadata = try ModelMetadata(file)
    let type = try family(of: metadata)
    let configuration = try type.init(metadata).configuration
    let adapters = try AdapterSet(adapters, base: file, family: type, headDim: configuration.attention.headDim)
    return try configuration.withMemory(of: file, adapters).withHeadNumbers(
      of: TensorSource(
        file: file, names: type.names, configuration: configuration, team: WorkerTeam(threads: 1), adapters: adapters))
  }

  /// The model of a file as programs between which its attention may run elsewhere, without its weights.
  ///
  /// - Throws: as `load(_:team:)` does for its numbers.
  package static func slices(of file: WeightFile) throws -> ModelSlices {
    let metadata = try ModelMetadata(file)
    return ModelSlices(try family(of: metadata).init(metadata))
  }

  static func family(of metadata: ModelMetadata) throws -> any ModelFamily.Type {
    if let missing = refused[metadata.architecture] {
      throw metadata.unsupported("the architecture '\(metadata.architecture)' is not supported: it needs \(missing)")
    }
    guard let family = families[metadata.architecture] else {
      throw ModelError.unknownArchitecture(metadata.architecture, known: families.keys.sorted(), in: metadata.file.path)
    }
    return family
  }
}

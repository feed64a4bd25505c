import KVCaches

/// Ministral 3, Mistral Small 3.1 and 3.2, and Devstral Small 2: the text part.
///
/// A Llama stretched by YaRN, whose queries grow with their position: by 1 + β ln(1 + ⌊position / original length⌋). Files
/// without β, as of Mistral Small, do without. llama.cpp counts positions from 1 here; transformers, from 0, is followed.
///
/// The position is the one in the cache. A plan that keeps no more tokens than the original length (16,384) therefore never
/// meets a factor other than 1, and one that keeps more stays at the factor of its own length, as if the text were no longer
/// than what is remembered of it.
struct Mistral3: ModelFamily {
  static let ggufName = "mistral3"
  static let interleavesInGGUF = Llama.interleavesInGGUF
  static let names = Llama.names

  let configuration: ModelConfiguration
  private let llama: Llama

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    let text = try metadata.string(ifPresent: Key(huggingFace: "model_type"))
    guard [nil, "mistral3", "ministral3", "mistral", "llama"].contains(text) else {
      throw metadata.unsupported("a Mistral 3 around a text model of type '\(text ?? "")' is not supported")
    }
    llama = try Llama(metadata)
    var configuration = llama.configuration
    let temperature = try metadata.temperatureOfMistral(trainedLength: configuration.trainedLength)
    for index in configuration.layers.indices { configuration.layers[index].temperature = temperature }
    self.configuration = configuration
  }

  var norm: Norm { llama.norm }
  var tiesOutput: Bool { llama.tiesOutput }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    llama.layer(index, &graph, x)
  }
}

extension ModelMetadata {
  /// How queries grow with their position; nil where they do not.
  fileprivate func temperatureOfMistral(trainedLength: Int) throws -> AttentionTemperature? {
    // Ollama's files have a name of their own.
    let names = Self.rotaryPlaces.map { $0 + ".llama_4_scaling_beta" } + ["llama_4_scaling_beta"]
    let growth =
      try double(ifPresent: Key(gguf: ["attention.temperature_scale", "rope.scaling_beta"], huggingFace: names)) ?? 0
    let original = Key(
      gguf: ["rope.scaling.original_context_length"],
      huggingFace: Self.rotaryPlaces.map { $0 + ".original_max_position_embeddings" })
    let length = try integer(original, default: trainedLength)
    guard growth.isFinite, growth >= 0, length > 0 else {
      throw bad("llama_4_scaling_beta", "of \(growth) over \(length) positions is impossible")
    }
    return growth == 0 ? nil : AttentionTemperature(growth: growth, length: length)
  }
}

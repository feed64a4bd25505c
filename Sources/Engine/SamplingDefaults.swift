package import ModelJSON
package import Weights

/// How a model's authors recommend that its tokens are chosen; nil where they say nothing.
package struct SamplingDefaults: Sendable, Hashable {
  package var temperature: Double?
  package var topK: Int?
  package var topP: Double?
  package var minP: Double?
  package var repetitionPenalty: Double?

  package init() {}

  /// What a model's files say: `generation_config.json` beside the weights, or `general.sampling.…` in a GGUF file.
  ///
  /// A value that no sampler can use counts as not given.
  ///
  /// - Throws: `WeightsError` or `LanguageModelError` where a file cannot be read.
  package init(of file: WeightFile) throws {
    self.init()
    switch file.format {
    case .gguf:
      let prefix = "general.sampling."
      temperature = try? file.metadata.double(ifPresent: prefix + "temp")
      topK = try? file.metadata.integer(ifPresent: prefix + "top_k")
      topP = try? file.metadata.double(ifPresent: prefix + "top_p")
      minP = try? file.metadata.double(ifPresent: prefix + "min_p")
      repetitionPenalty = try? file.metadata.double(ifPresent: prefix + "penalty_repeat")
    case .huggingFace, .safetensors:
      guard let path = file.companion("generation_config.json") else { return }
      let text = try MappedFile.contents(of: path)
      do {
        self.init(generationConfiguration: try JSONValue(parsing: text))
      } catch {
        throw LanguageModelError.malformed(path, error.description)
      }
    }
    removeImpossible()
  }

  /// What a `generation_config.json` says. As in transformers, `do_sample: false` takes the likeliest token.
  package init(generationConfiguration json: JSONValue) {
    temperature = json["temperature"]?.double
    topK = json["top_k"]?.integer
    topP = json["top_p"]?.double
    minP = json["min_p"]?.double
    repetitionPenalty = json["repetition_penalty"]?.double
    if json["do_sample"]?.bool == false { temperature = 0 }
    removeImpossible()
  }

  private mutating func removeImpossible() {
    let impossible = { (change: (inout SamplingOptions) -> Void) in
      var options = SamplingOptions()
      change(&options)
      return options.problem != nil
    }
    if let value = temperature, impossible({ $0.temperature = value }) { temperature = nil }
    if let value = topK, impossible({ $0.topK = value }) { topK = nil }
    if let value = topP, impossible({ $0.topP = value }) { topP = nil }
    if let value = minP, impossible({ $0.minP = value }) { minP = nil }
    if let value = repetitionPenalty, impossible({ $0.repetitionPenalty = value }) { repetitionPenalty = nil }
  }

  /// Options with these values in place of the usual ones.
  package var options: SamplingOptions {
    var options = SamplingOptions()
    if let temperature { options.temperature = temperature }
    if let topK { options.topK = topK }
    if let topP { options.topP = topP }
    if let minP { options.minP = minP }
    if let repetitionPenalty { options.repetitionPenalty = repetitionPenalty }
    return options
  }
}

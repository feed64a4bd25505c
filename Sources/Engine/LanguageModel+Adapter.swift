package import Models
import Weights

extension LanguageModel {
  /// A low-rank adapter that changes a model as it is loaded: a PEFT directory or a GGUF adapter.
  ///
  /// The model's weights stay as they are; the adapter's small products run beside theirs.
  public struct Adapter: Sendable, Hashable {
    /// A directory with `adapter_config.json` and `adapter_model.safetensors`, or a GGUF file.
    public var path: String
    /// What its effect is multiplied by.
    public var scale: Double

    public init(_ path: String, scale: Double = 1) {
      self.path = path
      self.scale = scale
    }

    /// Its description, without its weights.
    package func open() throws -> LowRankAdapter { try LowRankAdapter(WeightFile.openAdapter(path), scale: scale) }
  }
}

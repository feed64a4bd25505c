/// A system whose published figures are set beside this engine's.
package enum PublishedSystem: String, CaseIterable, Sendable {
  case streamingLLM = "streaming-llm"
  case cascading
  case snapKV = "snapkv"
  case subGen = "subgen"
  case sketch
  case infini

  /// How users name it.
  package var name: String { rawValue }

  package var title: String {
    switch self {
    case .streamingLLM: "StreamingLLM"
    case .cascading: "Cascading KV cache"
    case .snapKV: "SnapKV"
    case .subGen: "SubGen"
    case .sketch: "One-pass sketch"
    case .infini: "Infini-attention"
    }
  }

  /// The number of the paper at arXiv.
  package var paper: String {
    switch self {
    case .streamingLLM: "2309.17453"
    case .cascading: "2406.17808"
    case .snapKV: "2404.14469"
    case .subGen: "2402.06082"
    case .sketch: "2311.14652"
    case .infini: "2404.07143"
    }
  }

  /// In the order of the report.
  package var experiments: [Experiment] {
    switch self {
    case .streamingLLM: Experiment.streamingLLM
    case .cascading: Experiment.cascading
    case .snapKV: Experiment.snapKV
    case .subGen: Experiment.subGen
    case .sketch: Experiment.sketch
    case .infini: Experiment.infini
    }
  }
}

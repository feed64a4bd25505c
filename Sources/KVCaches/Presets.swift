/// A named cache: the published systems, written as the stages they are.
struct Preset: Sendable {
  let name: String
  /// The written form, for messages and help.
  let form: String
  let summary: String
  let options: [String]
  let stages: @Sendable (StageParameters) throws(KVCacheError) -> [any StageSpecification]

  static let all: [Preset] = [full, streamingLLM]

  static func named(_ name: Substring) -> Preset? { all.first { $0.name == name } }

  private static let full = Preset(
    name: "full", form: "full", summary: "every token, memory grows with the stream", options: []
  ) { parameters throws(KVCacheError) in
    try parameters.none()
    return [Tokens()]
  }

  private static let streamingLLM = Preset(
    name: "streaming-llm", form: "streaming-llm:SINKS+WINDOW",
    summary: "attention sinks and a rolling window (arXiv 2309.17453)", options: []
  ) { parameters throws(KVCacheError) in
    let parts = (parameters.argument ?? "4+1020").split(separator: "+", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw parameters.fail("needs SINKS+WINDOW, for example 'streaming-llm:4+1020'") }
    let sinks = try parameters.number(parts[0], "sinks", in: 0...StageParameters.largestCount)
    let window = try parameters.number(parts[1], "window", in: 1...StageParameters.largestCount)
    return sinks == 0 ? [Window(window)] : [Sinks(sinks), Window(window)]
  }
}

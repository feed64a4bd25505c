import KVCaches
import Weights

extension TrainedMemory {
  /// What a file says of the memory that its model, or its adapter's, was trained with.
  ///
  /// Hugging Face's `config.json` and PEFT's `adapter_config.json` have an object `infini` with `segment`, `update`,
  /// `first_segment` and `epsilon`, and a number `sink_token_id`; GGUF files have `ARCHITECTURE.infini.segment` and so on, and
  /// `ARCHITECTURE.attention.sink_token_id`. The keys are ours: no published format has any.
  ///
  /// - Throws: `WeightsError` for a mistyped value, `ModelError` for an impossible one.
  init(_ file: WeightFile) throws {
    let metadata = file.metadata
    let isGGUF = if case .gguf = file.format { true } else { false }
    let prefix = isGGUF ? try metadata.string("general.architecture") + "." : ""
    let sink = prefix + (isGGUF ? "attention.sink_token_id" : "sink_token_id")
    if let token = try metadata.integer(ifPresent: sink) {
      guard (0..<Int(Int32.max)).contains(token) else {
        throw ModelError.badValue(sink, "must be a token, but is \(token)", in: file.path)
      }
    }
    self.init(
      segments: try Self.segments(file, prefix: prefix + "infini."), sinks: metadata.contains(sink) ? 1 : nil)
  }

  private static func segments(_ file: WeightFile, prefix: String) throws -> Segments? {
    let metadata = file.metadata
    guard metadata.contains(prefix + "segment") else { return nil }
    let size = try metadata.integer(prefix + "segment")
    guard (1...1 << 28).contains(size) else {
      throw ModelError.badValue(prefix + "segment", "must be a number of tokens, but is \(size)", in: file.path)
    }
    if let epsilon = try metadata.double(ifPresent: prefix + "epsilon") {
      guard abs(epsilon - Compressive.smallestDivisor) <= Compressive.smallestDivisor / 1000 else {
        throw ModelError.badValue(
          prefix + "epsilon", "must be \(Compressive.smallestDivisor), but is \(epsilon)", in: file.path)
      }
    }
    return Segments(
      size: size,
      memory: Compressive(
        update: try choice(prefix + "update", default: .linear, in: file),
        firstSegment: try choice(prefix + "first_segment", default: .bypass, in: file)))
  }

  private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, default standard: Choice, in file: WeightFile
  ) throws -> Choice {
    guard let text = try file.metadata.string(ifPresent: key) else { return standard }
    // The paper's own name of the delta rule.
    guard let choice = Choice(rawValue: text == "linear+delta" ? "delta" : text) else {
      let known = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: " or ")
      throw ModelError.badValue(key, "must be \(known), but is '\(text)'", in: file.path)
    }
    return choice
  }
}

import Engine
import KVCaches
import ModelJSON

/// The fields of a request that say how an answer is written, the same for all of OpenAI's routes.
struct AnswerFields {
  var sampling: SamplingOptions
  var stopStrings: [String] = []
  var logitBias: [Int32: Float] = [:]
  /// How many of the likeliest tokens are told for each; nil where no probabilities were asked for.
  var likeliest: Int?
  /// The most tokens that were asked for.
  var limit: Int?
  var choices = 1
  var plan: KVCache.Plan
  var streams = false
  var includesUsage = false
  /// What the answer must be.
  var constraint: AnswerConstraint?

  /// Fields that are taken without effect.
  private static let ignored = [
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "cache_control",
  ]

  /// What the model's authors recommend, under the server's cache.
  init(_ model: ServedModel) { (sampling, plan) = (model.samplingDefaults, model.plan) }

  init(_ fields: inout RequestFields, _ model: ServedModel) throws(RequestError) {
    self.init(model)
    try model.check(fields.string("model"))
    fields.ignore(Self.ignored)
    if let value = try fields.number("temperature", in: 0...2) { sampling.temperature = value }
    if let value = try fields.number("top_p", in: 0...1) { sampling.topP = max(value, .leastNormalMagnitude) }
    if let value = try fields.integer("top_k", in: -1...Int(Int32.max)) { sampling.topK = max(0, value) }
    if let value = try fields.number("min_p", in: 0...1) { sampling.minP = value }
    if let value = try fields.number("repetition_penalty", in: 0.01...10) { sampling.repetitionPenalty = value }
    if let value = try fields.number("presence_penalty", in: -2...2) { sampling.presencePenalty = value }
    if let value = try fields.number("frequency_penalty", in: -2...2) { sampling.frequencyPenalty = value }
    if let value = try fields.integer("seed", in: .min ... .max) { sampling.seed = UInt64(bitPattern: Int64(value)) }
    stopStrings = try Self.stops(&fields, "stop")
    try readBias(&fields, model)
    if let spec = try fields.string("cache") { plan = try Self.plan(spec, model) }
    choices = try fields.integer("n", in: 1...16) ?? 1
    streams = try fields.bool("stream") ?? false
    if var options = try fields.fields("stream_options") {
      guard streams else { throw .bad("stream_options", "'stream_options' needs 'stream' to be true") }
      includesUsage = try options.bool("include_usage") ?? false
      options.ignore(["include_obfuscation"])
      try options.finish()
    }
  }

  /// Texts that end an answer.
  static func stops(_ fields: inout RequestFields, _ name: String) throws(RequestError) -> [String] {
    let stops = try fields.strings(name) ?? []
    guard stops.count <= 16, stops.allSatisfy({ $0.unicodeScalars.count <= 1024 }) else {
      throw .bad(name, "'\(name)' may be up to 16 strings of up to 1024 characters", code: "invalid_value")
    }
    return stops.filter { !$0.isEmpty }
  }

  /// `logprobs` and `top_logprobs` of chat completions.
  mutating func readProbabilities(_ fields: inout RequestFields) throws(RequestError) {
    let isWanted = try fields.bool("logprobs") ?? false
    let count = try fields.integer("top_logprobs", in: 0...20)
    if count ?? 0 > 0, !isWanted { throw .bad("top_logprobs", "'top_logprobs' needs 'logprobs' to be true") }
    likeliest = isWanted ? count ?? 0 : nil
  }

  private mutating func readBias(_ fields: inout RequestFields, _ model: ServedModel) throws(RequestError) {
    for (key, value) in try fields.object("logit_bias") ?? JSONObject() {
      guard let token = Int32(key), (0..<Int32(model.vocabularySize)).contains(token), let bias = value.double,
        (-100...100).contains(bias)
      else {
        throw .bad("logit_bias", "'logit_bias' must give tokens of the model numbers from -100 to 100")
      }
      logitBias[token] = Float(bias)
    }
  }

  /// A plan that a stranger wrote: nothing but the text is read.
  static func plan(_ spec: String, _ model: ServedModel) throws(RequestError) -> KVCache.Plan {
    guard spec.utf8.count <= 512 else { throw .bad("cache", "'cache' may have up to 512 bytes") }
    do {
      guard let automatic = try AutomaticCache(spec) else { return try KVCache.Plan(spec) }
      return try automatic.choose(
        layers: model.layers, trainedLength: model.trainedLength, slotType: model.slotType
      ).plan
    } catch {
      throw .bad("cache", error.description, code: "invalid_value")
    }
  }

  /// The request for an answer to a prompt, its length settled.
  ///
  /// Where the memory grows, prompt and answer stay within the trained length; elsewhere an answer without a limit ends
  /// after as many tokens.
  ///
  /// - Parameter lead: what may stand before an answer under a constraint
  /// - Throws: `RequestError` where the prompt is empty or too long, or its memory too large.
  func request(
    _ prompt: GenerationRequest.Prompt, owner: Int, reader: AnswerReader?, lead: AnswerLead = .none, choice: Int,
    session: String? = nil, _ model: ServedModel
  ) throws(RequestError) -> GenerationRequest {
    let tokens =
      switch prompt {
      case .text(let rendered): rendered.tokens(after: 0)
      case .ids(let ids): ids
      }
    guard !tokens.isEmpty else { throw .bad("prompt", "there is no text to continue") }
    var most = limit ?? model.trainedLength
    if plan.capacity == nil {
      let room = model.trainedLength - tokens.count
      guard room > 0 else {
        throw .bad(
          "messages",
          "the prompt has \(tokens.count) tokens, but the model takes \(model.trainedLength) under '\(plan)'; "
            + "a bounded cache such as '\(model.plan)' takes any number",
          code: "context_length_exceeded")
      }
      most = min(most, room)
    }
    var request = GenerationRequest(
      prompt: prompt, promptTokens: tokens, owner: owner, plan: plan, sampling: sampling, stopStrings: stopStrings,
      limit: most, logitBias: logitBias, session: session, reader: reader)
    request.likeliest = likeliest
    request.constraint = try constraint?.constraint(for: lead)
    if let seed = sampling.seed { request.sampling.seed = seed &+ UInt64(choice) }
    let (total, overflows) = tokens.count.addingReportingOverflow(most)
    request.bytes = try model.bytes(
      of: plan, tokens: overflows ? .max / 2 : min(total, model.trainedLength + tokens.count),
      stream: overflows ? .max : total)
    return request
  }
}

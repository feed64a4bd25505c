import Engine
import KVCaches
import Models
import Tokenizers

/// What handlers of requests know of the model; none of it needs its thread.
struct ServedModel: Sendable {
  /// How the model writes thoughts and calls.
  struct Formats: Sendable {
    let answer: AnswerFormat
    let calls: ToolCallFormat
    /// Calls that an answer is kept to.
    let grammar: CallGrammar

    init(_ template: ConversationTemplate) {
      answer = AnswerFormat(template.template)
      calls = ToolCallFormat(template.template, template.traits)
      grammar = CallGrammar(template)
    }
  }

  let identifier: String
  /// Further names, for clients that cannot be told the model's.
  let aliases: [String]
  let tokenizer: Tokenizer
  let template: Result<ConversationTemplate, any Error>
  /// Nil where the model has no template.
  let formats: Formats?
  let samplingDefaults: SamplingOptions
  let trainedLength: Int
  let vocabularySize: Int
  let hiddenSize: Int
  /// What the model's files declare that it was trained to remember with.
  let trainedMemory: TrainedMemory
  /// What is remembered where a request does not say.
  let plan: KVCache.Plan
  let slotType: KVCache.SlotType
  let speculation: Speculation
  /// Bytes of all memories together.
  let memoryBytes: Int
  let layers: [AttentionLayer]
  /// Answers' constraints by their schema.
  let constraints = AnswerConstraintCache(limit: 64)
  /// Made by the first request with a constraint, not on the model's thread.
  let vocabulary: ConstraintVocabulary
  /// Ids of messages: of those asked for last, two million tokens and more.
  let pieces = EncodedPieces(limit: 32 << 20)
  /// When the server started, in seconds since 1970.
  let created: Int

  /// - Throws: `RequestError` where the plan does not fit the model or the bytes of all memories.
  init(
    _ loaded: LanguageModel.Loaded, identifier: String, aliases: [String], plan: KVCache.Plan?,
    slotType: KVCache.SlotType, speculation: Speculation = .off, memoryBytes: Int, created: Int
  ) throws {
    let configuration = loaded.engine.model.configuration
    (self.identifier, self.aliases, self.slotType) = (identifier, aliases, slotType)
    (self.speculation, self.memoryBytes, self.created) = (speculation, memoryBytes, created)
    tokenizer = loaded.tokenizer
    let template = loaded.template
    self.template = template
    formats = (try? template.get()).map(Formats.init)
    samplingDefaults = loaded.samplingDefaults.options
    trainedLength = configuration.trainedLength
    (vocabularySize, hiddenSize) = (configuration.vocabularySize, configuration.hiddenSize)
    layers = configuration.layers
    vocabulary = loaded.engine.constraints?.vocabulary ?? ConstraintVocabulary(loaded.tokenizer)
    trainedMemory = configuration.memory
    self.plan = plan ?? trainedMemory.streamingPlan(budget: max(8, min(4096, trainedLength)))
    _ = try bytes(of: self.plan, tokens: 0)
  }

  /// - Throws: `RequestError` of status 404 for a model that is not served.
  func check(_ name: String?) throws(RequestError) {
    guard let name, name != identifier, !aliases.contains(name) else { return }
    throw RequestError(
      status: 404, code: "model_not_found", parameter: "model",
      message: "the model '\(name)' is not served; '\(identifier)' is")
  }

  /// How conversations are written now.
  ///
  /// - Parameter owner: whose conversation it is, of which older messages may be known
  /// - Throws: `RequestError` where the model has no chat template.
  func conversationTemplate(owner: Int? = nil) throws(RequestError) -> ConversationTemplate {
    do {
      var template = try template.get()
      template.known = owner.map(pieces.share)
      if template.time == nil { template.time = .now }
      return template
    } catch {
      throw .bad("messages", "\(error)")
    }
  }

  /// Bytes of a memory after so many tokens, with what is kept to take tokens back and to guess the next ones.
  ///
  /// - Parameter stream: tokens that will ever come
  /// - Throws: `RequestError` where the plan does not fit the model, or more than all memories may take.
  func bytes(of plan: KVCache.Plan, tokens: Int, stream: Int = 0) throws(RequestError) -> Int {
    do {
      _ = try KVCache.stages(of: plan, layers: layers, slotType: slotType, tokens: tokens)
    } catch {
      throw .bad("cache", error.description, code: "invalid_value")
    }
    let (guesses, guesser) =
      speculation == .off ? (0, 0) : (Speculation.largestCount + 1, PromptLookup.bytes(tokens: stream))
    let undo = plan.capacity == nil ? 0 : RequestRoom.undoDepth + guesses
    let bytes = [(plan, tokens), (.full, undo)].reduce(guesser) {
      $0 + KVCache.bytes(plan: $1.0, layers: layers, slotType: slotType, tokens: $1.1)
    }
    guard bytes <= memoryBytes else {
      throw .bad(
        "cache",
        "a memory of \(tokens) tokens under '\(plan)' takes \(bytes >> 20) MiB; this server has \(memoryBytes >> 20)",
        code: "out_of_memory")
    }
    return bytes
  }
}

public import KVCaches
import Kernels
import Models
public import Tokenizers
import Weights

/// A language model in memory, ready for sessions.
///
/// ```swift
/// let model = try await LanguageModel()            // the default model, fetched by `make model`
/// let other = try await LanguageModel("tiny.gguf") // a GGUF file, a Hugging Face directory, or a fetched name
/// ```
/// A model and its weights are shared by all its sessions; what several of them ask for at once is computed together.
public final class LanguageModel: Sendable {
  /// How a model is loaded and run.
  public struct Options: Sendable, Hashable {
    /// Threads that compute; nil takes every CPU this process may use.
    public var threads: Int?
    /// The most tokens of a prompt that are computed at once.
    public var chunk: Int
    /// Multiplies with float32 activations throughout instead of int8 ones: slower, and exact to rounding.
    public var exactArithmetic: Bool
    /// Low-rank adapters whose effects add up.
    public var adapters: [Adapter]

    public init(
      threads: Int? = nil, chunk: Int = 512, exactArithmetic: Bool = false, adapters: [Adapter] = []
    ) {
      self.threads = threads
      self.chunk = chunk
      self.exactArithmetic = exactArithmetic
      self.adapters = adapters
    }
  }

  /// Where the model was loaded from.
  public let path: String
  /// Text to tokens and back.
  public let tokenizer: Tokenizer
  /// What is odd about the model's files, a line each: what was wrong and left out, and what was read in another form.
  public let notices: [Notice]
  /// How its conversations are written, or why it cannot hold any.
  let template: Result<ConversationTemplate, any Error>
  /// What its files declare that it was trained to remember with.
  let trainedMemory: TrainedMemory
  /// By which stored sessions know the model.
  let fingerprint: ModelFingerprint
  package let thread: InferenceThread
  private let confined: Confined

  /// State that only the inference thread touches.
  private struct Confined: @unchecked Sendable {
    let responses: ResponseScheduler
  }

  /// Loads a model: a GGUF file, a Hugging Face directory, or the name of a fetched model; nil is the default model.
  ///
  /// - Throws: one of Sluice's errors, each of which describes itself in one line.
  public init(_ name: String? = nil, options: Options = Options()) async throws {
    let path = try ModelLocator.path(of: name)
    let thread = InferenceThread(name: "sluice model")
    let loaded = try await thread.run { try Loaded(path: path, options: options) }
    self.path = path
    self.thread = thread
    tokenizer = loaded.tokenizer
    notices = loaded.notices
    template = loaded.template
    trainedMemory = loaded.engine.model.configuration.memory
    fingerprint = loaded.fingerprint
    confined = Confined(responses: ResponseScheduler(engine: loaded.engine, thread: thread))
  }

  /// Reads a cache specification for this model: what a preset leaves open, such as the segment of `infini`, is what the model
  /// was trained with.
  ///
  /// - Throws: `KVCacheError` that quotes the specification.
  public func plan(_ specification: String) throws(KVCacheError) -> KVCache.Plan {
    try KVCache.Plan(specification, resolver: .none.model(trainedMemory))
  }

  /// Runs a job with the scheduler of the sessions on the model's thread.
  func withResponses<Result: Sendable>(
    _ body: @escaping @Sendable (ResponseScheduler) throws -> Result
  ) async throws -> Result {
    let confined = confined
    return try await thread.run { try body(confined.responses) }
  }

  /// Asks for the next piece of a session's response, which is computed together with those of other sessions.
  ///
  /// - Parameter prepare: called on the model's thread before; an error is the caller's
  /// - Returns: nil at the end of the response.
  func nextPiece(
    of state: SessionState, unless cancelled: CancellationFlag,
    _ prepare: @escaping @Sendable (ResponseScheduler) throws -> Void
  ) async throws -> String? {
    let confined = confined
    return try await withCheckedThrowingContinuation { continuation in
      let ask = ResponseScheduler.Ask(state: state, cancelled: cancelled, continuation: continuation)
      thread.enqueue { confined.responses.take(ask, prepare) }
    }
  }

  /// The tokenizer of a model alone, without its weights.
  package static func tokenizer(of name: String?) throws -> Tokenizer {
    try Tokenizer.load(from: WeightFile.open(ModelLocator.path(of: name)))
  }

  /// A model, its tokenizer and an engine, for use on one thread.
  package struct Loaded: @unchecked Sendable {
    package let path: String
    package let tokenizer: Tokenizer
    package let notices: [Notice]
    private let chatTemplates: Result<StoredChatTemplates, any Error>
    /// How its authors recommend that tokens are chosen.
    package let samplingDefaults: SamplingDefaults
    package let engine: InferenceEngine
    /// By which stored sessions know the model.
    package let fingerprint: ModelFingerprint

    /// - Throws: `WeightsError`, `ModelError`, `TokenizerError`, `LanguageModelError` or `KernelError`.
    package init(path: String, options: Options) throws {
      guard options.chunk > 0 else { throw LanguageModelError.badOptions("the chunk must be at least 1 token") }
      if let threads = options.threads, !(1...1024).contains(threads) {
        throw LanguageModelError.badOptions("threads must be from 1 to 1024, but are \(threads)")
      }
      let kernels = try InstructionSet.select()
      let file = try WeightFile.open(path)
      let adapters = try options.adapters.map { try $0.open() }
      var tokenizer = try Tokenizer.load(from: file)
      let team = try WorkerTeam(threads: options.threads)
      let model = try ModelRegistry.load(file, adapters: adapters, team: team)
      if tokenizer.vocabularySize > model.configuration.vocabularySize {
        tokenizer = try Tokenizer.load(from: file, limit: model.configuration.vocabularySize)
      }
      self.path = path
      self.tokenizer = tokenizer
      fingerprint = ModelFingerprint(file, adapters: adapters, tokenizer: tokenizer)
      notices = try LanguageModel.notices(of: file, tokenizer)
      samplingDefaults = try SamplingDefaults(of: file)
      chatTemplates = Result { try file.chatTemplates() }
      engine = InferenceEngine(
        model: model, team: team, kernels: kernels, chunk: options.chunk,
        arithmetic: options.exactArithmetic ? .float32 : .int8)
      engine.constraints = ConstraintTables(ConstraintVocabulary(tokenizer))
    }

    /// How its conversations are written, or why it cannot hold any; made anew each time.
    package var template: Result<ConversationTemplate, any Error> {
      Result { try ConversationTemplate(chatTemplates.get(), tokenizer: tokenizer) }
    }
  }
}

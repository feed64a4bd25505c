public import KVCaches
import Synchronization
import Tokenizers

/// A conversation with a model, whose memory is a cache plan of your choice.
///
/// ```swift
/// let session = LanguageModelSession(model: model, cache: KVCache.Plan { Sinks(4); Window(1020) })
/// for try await text in session.streamResponse(to: "Why is the sky blue?") { print(text, terminator: "") }
/// ```
/// Names follow Apple's FoundationModels. The differences: a stream's elements are pieces of text, not the whole text
/// so far, because a stream may have no end; and the next token is computed only when it is asked for, so a slow reader
/// holds the writer back and cancelling the task stops within a token.
public final class LanguageModelSession: Sendable {
  /// A finished response.
  public struct Response: Sendable, Hashable {
    public let content: String
  }

  /// Counters of a session.
  public struct Usage: Sendable, Hashable {
    /// Tokens that went through the model.
    public let tokens: Int
    /// Tokens that the cache holds.
    public let heldTokens: Int
    /// Bytes of keys and values.
    public let cacheBytes: Int
  }

  let model: LanguageModel
  private let state: SessionState
  /// The number of the newest request; older ones end when a newer one starts.
  private let newest = Atomic<Int>(0)
  private let taken = Mutex<Resumption?>(nil)

  /// A session; its cache is allocated with the first request.
  ///
  /// - Parameters:
  ///   - cache: what the session remembers; nil is what the model was trained with, which is everything for most
  ///   - slotType: the number format of stored keys and values
  ///   - instructions: the system message; nil leaves it to the model's chat template
  ///   - undoDepth: the newest tokens that `takeBackRequest` can take back; each costs the cache some bytes
  ///   - speculation: whether next tokens are guessed from what the text has said before, which changes its speed only
  public init(
    model: LanguageModel, cache: KVCache.Plan? = nil, slotType: KVCache.SlotType = .float16,
    instructions: String? = nil, undoDepth: Int = 0, speculation: Speculation = .automatic
  ) {
    self.model = model
    state = SessionState(
      tokenizer: model.tokenizer, template: model.template, plan: cache ?? model.trainedMemory.segments?.plan ?? .full,
      slotType: slotType,
      instructions: instructions, undoDepth: undoDepth, speculation: speculation)
  }

  /// What became of taking the session up from a store; nil where it began anew.
  public var resumption: Resumption? { taken.withLock { $0 } }

  func note(_ resumption: Resumption) { taken.withLock { $0 = resumption } }

  /// Runs a job with the session's state on the model's thread.
  func withState<Result: Sendable>(
    _ body: @escaping @Sendable (SessionState, InferenceEngine) throws -> Result
  ) async throws -> Result {
    try await model.withResponses { [state] responses in try body(state, responses.engine) }
  }

  /// Answers a prompt.
  public func respond(to prompt: String, options: GenerationOptions = GenerationOptions()) async throws -> Response {
    var content = ""
    for try await text in streamResponse(to: prompt, options: options) { content += text }
    return Response(content: content)
  }

  /// Answers a prompt piece by piece.
  public func streamResponse(to prompt: String, options: GenerationOptions = GenerationOptions()) -> ResponseStream {
    stream(.turn(prompt), options)
  }

  /// Continues a text as it stands, without a chat frame.
  public func streamContinuation(of text: String, options: GenerationOptions = GenerationOptions()) -> ResponseStream {
    stream(.text(text), options)
  }

  /// Forgets the newest request and its answer, as if it had not come; one that is still being answered ends.
  ///
  /// May be called again, as far back as the session's `undoDepth` reaches.
  ///
  /// - Throws: `KVCacheError` where that is not far enough or the cache melts tokens together, `LanguageModelError` where
  ///   there is no request.
  public func takeBackRequest() async throws {
    _ = startRequest()
    try await model.withResponses { [state] responses in
      responses.endResponse(of: state)
      try state.takeBackRequest()
    }
  }

  /// What the session holds now.
  public func usage() async throws -> Usage {
    let state = state
    return try await model.withResponses { responses in
      let sequence = try state.sequence(responses.engine)
      return Usage(
        tokens: Int(sequence.memory.tokenCount), heldTokens: sequence.memory.heldTokens, cacheBytes: sequence.bytes)
    }
  }

  private func stream(_ request: SessionState.Request, _ options: GenerationOptions) -> ResponseStream {
    ResponseStream(session: self, request: request, options: options)
  }

  /// A number for a request, which ends all older requests.
  fileprivate func startRequest() -> Int { newest.wrappingAdd(1, ordering: .relaxed).newValue }

  /// The next piece of a response, possibly empty, or nil at its end.
  ///
  /// A request that is cancelled before its first step leaves no trace in the session.
  fileprivate func next(
    _ number: Int, _ request: SessionState.Request, _ options: GenerationOptions, isFirst: Bool
  ) async throws -> String? {
    let cancelled = CancellationFlag()
    return try await withTaskCancellationHandler {
      let text = try await model.nextPiece(of: state, unless: cancelled) { [state, self] responses in
        guard newest.load(ordering: .relaxed) == number else { throw LanguageModelError.superseded }
        if cancelled.isSet { throw CancellationError() }
        guard isFirst else { return state.saveByItself(afterTokens: SessionState.tokensBetweenSaves) }
        responses.endResponse(of: state)
        try state.begin(request, options, responses.engine)
      }
      try Task.checkCancellation()
      if text == nil { try await withState { state, _ in state.saveByItself(afterTokens: 0) } }
      return text
    } onCancel: {
      cancelled.set()
    }
  }

  /// The pieces of a response.
  ///
  /// The request starts with the first iteration; one that is still being answered then ends with an error. Iterating
  /// again asks again.
  public struct ResponseStream: AsyncSequence, Sendable {
    public typealias Element = String

    fileprivate let session: LanguageModelSession
    fileprivate let request: SessionState.Request
    fileprivate let options: GenerationOptions

    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    public struct Iterator: AsyncIteratorProtocol {
      private let stream: ResponseStream
      /// The number of the request; nil before it starts.
      private var number: Int?
      private var isFinished = false

      fileprivate init(stream: ResponseStream) { self.stream = stream }

      /// The next piece, not empty; the first call computes the prompt. After an error there is nothing more.
      public mutating func next() async throws -> String? {
        do {
          while !isFinished, let text = try await step() {
            if !text.isEmpty { return text }
          }
        } catch {
          isFinished = true
          throw error
        }
        isFinished = true
        return nil
      }

      private mutating func step() async throws -> String? {
        let isFirst = number == nil
        let number = number ?? stream.session.startRequest()
        self.number = number
        return try await stream.session.next(number, stream.request, stream.options, isFirst: isFirst)
      }
    }
  }
}

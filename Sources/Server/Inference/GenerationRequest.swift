import Constraints
import Engine
import KVCaches
import SessionStore
import Tokenizers

/// One answer that a client asks for, checked and ready for the model's thread.
struct GenerationRequest: Sendable {
  /// What the answer follows.
  enum Prompt: Sendable {
    case text(RenderedConversation)
    case ids([Int32])
  }

  let prompt: Prompt
  /// All tokens of the prompt.
  let promptTokens: [Int32]
  /// Under which name its memory is stored; nil where it is not.
  var storedSession: ItemKey?
  /// Whether its memory may outlive the server where it has no name.
  var keepsMemory = true
  /// Whose it is: memories are shared between requests of one owner only.
  var owner = 0
  var plan: KVCache.Plan
  var sampling: SamplingOptions
  var stopStrings: [String] = []
  /// The most tokens of the answer.
  var limit: Int
  /// Added to logits, by token.
  var logitBias: [Int32: Float] = [:]
  /// The conversation that the server holds, whose memory can be looked at.
  var session: String?
  /// How many of the likeliest tokens are told for each of the answer's; nil where no probabilities were asked for.
  var likeliest: Int?
  /// Tells thoughts and calls from the answer; nil gives all text as the answer.
  var reader: AnswerReader?
  /// What the answer must be, with what may stand before it.
  var constraint: Constraint?
  /// Whether the mean of the prompt's last hidden states is asked for; such a memory is of use to nobody else.
  var embeds = false
  /// Bytes of its memory once all tokens are there.
  var bytes = 0

  /// Whether a memory that has read the other's prompt has read this one's.
  func sharesPrompt(with other: GenerationRequest) -> Bool {
    !embeds && owner == other.owner && plan == other.plan && promptTokens == other.promptTokens
  }
}

/// What happens to a request, in this order: `started`, any number of `text`, and `ended` or `failed`.
enum GenerationEvent: Sendable {
  /// It left the queue; so many tokens of its prompt had been read before.
  case started(cachedTokens: Int)
  /// Text that is clear, and the probabilities of the answer's tokens in it where they were asked for.
  case text([AnswerReader.Part], [TokenProbability])
  case ended(GenerationResult)
  case failed(RequestError)
  /// Nothing for some seconds.
  case silence
}

/// How an answer ended, and what it took.
struct GenerationResult: Sendable, Hashable {
  var finish = Generation.Finish.cancelled
  /// The stop string that ended it.
  var stopString: String?
  var promptTokens = 0
  var cachedTokens = 0
  /// What did not have to be read, or why all had to.
  var cache = CacheUse.miss(.neverStored)
  var answerTokens = 0
  /// Tokens of thoughts among them.
  var thinkingTokens = 0
  /// Tokens of prompt and answer that the memory no longer holds apart.
  var evictedTokens = 0
  /// The mean of the prompt's last hidden states, where it was asked for.
  var embedding: [Float] = []
}

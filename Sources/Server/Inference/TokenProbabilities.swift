import CLibrary
import Engine
import Tokenizers

/// How likely a token of an answer was, and which were likeliest in its place.
struct TokenProbability: Sendable, Hashable {
  struct Candidate: Sendable, Hashable {
    let token: Int32
    /// The natural logarithm of its probability.
    let logarithm: Float
  }

  let chosen: Candidate
  let likeliest: [Candidate]
  /// Scalars of the answer in front of it.
  var offset = 0
}

/// Notes how likely an answer's tokens were, by the model's own distribution: before biases, penalties, temperature and
/// whatever else decides which token is chosen.
///
/// Only for requests that ask for it; takes one copy of the logits.
struct TokenProbabilities {
  /// Tokens that end with the same character, and where that ends in all that was written, in bytes.
  private struct Waiting {
    let probabilities: [TokenProbability]
    let end: Int
  }

  private let count: Int
  private var decoder: IncrementalDecoder
  private var logits: [Float] = []
  private var logarithmOfSum: Float = 0
  private var likeliest: [TokenProbability.Candidate] = []
  /// Tokens that have only a part of a character.
  private var incomplete: [TokenProbability] = []
  /// Tokens whose text has not been given out yet.
  private var waiting: [Waiting] = []
  /// Bytes of text written by all tokens, and scalars of the answer given out.
  private var written = 0
  private var scalars = 0

  /// - Parameter count: how many of the likeliest tokens are noted for each
  init(count: Int, tokenizer: Tokenizer, showing controls: ShownControls) {
    self.count = count
    decoder = IncrementalDecoder(tokenizer, skipsSpecial: controls != .all, showing: controls.tokens)
  }

  /// Takes note of the logits from which the next token will be chosen.
  mutating func note(_ logits: UnsafeMutableBufferPointer<Float>) {
    self.logits.removeAll(keepingCapacity: true)
    self.logits += logits
    let maximum = logits.reduce(-.infinity) { $1 < .infinity ? max($0, $1) : $0 }
    let sum = logits.reduce(0.0) { $1 < .infinity ? $0 + exp(Double($1 - maximum)) : $0 }
    logarithmOfSum = maximum + Float(log(sum))
    likeliest.removeAll(keepingCapacity: true)
    guard count > 0 else { return }
    for token in logits.indices where logits[token] < .infinity {
      let logarithm = logits[token] - logarithmOfSum
      guard likeliest.count < count || logarithm > likeliest[count - 1].logarithm else { continue }
      if likeliest.count == count { likeliest.removeLast() }
      let place = likeliest.firstIndex { $0.logarithm < logarithm } ?? likeliest.count
      likeliest.insert(TokenProbability.Candidate(token: Int32(token), logarithm: logarithm), at: place)
    }
  }

  /// Takes note of the token that was chosen from them.
  mutating func note(chosen token: Int32) {
    let logarithm = logits[Int(token)] - logarithmOfSum
    incomplete.append(
      TokenProbability(
        chosen: TokenProbability.Candidate(token: token, logarithm: logarithm), likeliest: likeliest))
    add(decoder.append(token))
  }

  private mutating func add(_ text: String) {
    written += text.utf8.count
    guard !text.isEmpty, !incomplete.isEmpty else { return }
    waiting.append(Waiting(probabilities: incomplete, end: written))
    incomplete.removeAll()
  }

  /// The tokens that the answer's text in some parts consists of; those of thoughts, calls and marks are dropped.
  ///
  /// - Parameters:
  ///   - end: bytes of all text written so far that have been given out, or were marks
  ///   - isLast: whether no more text comes
  mutating func take(_ parts: [AnswerReader.Part], end: Int, isLast: Bool) -> [TokenProbability] {
    if isLast { add(decoder.finish()) }
    let done = waiting.prefix { $0.end <= end }
    waiting.removeFirst(done.count)
    // Text of the answer in front of a call comes before the call does, so it is always the last part.
    guard case .answer(let text)? = parts.last else { return [] }
    let start = end - text.utf8.count
    var taken: [TokenProbability] = []
    var place = start
    for token in done where token.end > start {
      let before = text.utf8.prefix(max(0, place - start)).count { !UTF8.isContinuation($0) }
      for var probability in token.probabilities {
        probability.offset = scalars + before
        taken.append(probability)
      }
      place = token.end
    }
    scalars += text.unicodeScalars.count
    return taken
  }
}

extension TokenProbability.Candidate {
  /// What a client can read of it; impossible tokens have a very small number, as OpenAI's API gives them.
  var finiteLogarithm: Double { logarithm.isFinite ? Double(logarithm) : -9999 }
}

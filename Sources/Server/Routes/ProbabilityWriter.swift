import ModelJSON
import Tokenizers

/// Writes the probabilities of tokens in the forms of OpenAI's APIs.
struct ProbabilityWriter: Sendable {
  let tokenizer: Tokenizer

  /// `logprobs` of chat completions; null where none were asked for.
  func chat(_ probabilities: [TokenProbability]?) -> JSONValue {
    probabilities.map { ["content": response($0), "refusal": .null] } ?? .null
  }

  /// `logprobs` of a response's text.
  func response(_ probabilities: [TokenProbability]) -> JSONValue {
    .array(
      probabilities.map { probability in
        var members = describe(probability.chosen).members
        members["top_logprobs"] = .array(probability.likeliest.map(describe))
        return .object(members)
      })
  }

  private func describe(_ candidate: TokenProbability.Candidate) -> JSONValue {
    let bytes = tokenizer.piece(candidate.token)
    return [
      "token": .string(String(decoding: bytes, as: UTF8.self)), "logprob": .number(candidate.finiteLogarithm),
      "bytes": .array(bytes.map { JSONValue(Int($0)) }),
    ]
  }

  /// `logprobs` of completions; null where none were asked for.
  ///
  /// Offsets count characters of the answer, as Python does.
  func completion(_ probabilities: [TokenProbability]?) -> JSONValue {
    guard let probabilities else { return .null }
    let likeliest = probabilities.map { probability -> JSONValue in
      var members = JSONObject()
      for candidate in probability.likeliest { members[name(candidate)] = .number(candidate.finiteLogarithm) }
      return .object(members)
    }
    return [
      "tokens": .array(probabilities.map { .string(name($0.chosen)) }),
      "token_logprobs": .array(probabilities.map { .number($0.chosen.finiteLogarithm) }),
      "top_logprobs": .array(likeliest), "text_offset": .array(probabilities.map { JSONValue($0.offset) }),
    ]
  }

  /// A token's text; the bytes of one that is only a part of a character.
  private func name(_ candidate: TokenProbability.Candidate) -> String {
    let bytes = tokenizer.piece(candidate.token)
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return "bytes:" + bytes.map { "\\x" + String(Int($0) + 256, radix: 16).dropFirst() }.joined()
  }
}

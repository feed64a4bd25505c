import Engine
import ModelJSON

/// Follows the events of a request until all its choices have ended.
struct AnswerStream {
  private let channel: GenerationChannel
  private let choices: Int

  /// After so long without an event a comment is sent.
  private static let silence = Duration.seconds(5)

  init(_ channel: GenerationChannel, choices: Int) { (self.channel, self.choices) = (channel, choices) }

  /// Ends the work on the answer, if it goes on.
  func cancel() { channel.cancel() }

  /// Hands over each event in its order; leaving, for whatever reason, ends the work on the answer.
  ///
  /// - Parameter body: gets `silence` only where nothing came for some seconds
  /// - Throws: what `body` throws, the error of a choice that failed, and `CancellationError` when the client has gone.
  func forEach(_ body: (_ choice: Int, _ event: GenerationEvent) async throws -> Void) async throws {
    let channel = channel
    let clock = Task {
      while true {
        try await Task.sleep(for: Self.silence)
        channel.send(.silence, choice: 0)
      }
    }
    defer {
      clock.cancel()
      channel.cancel()
    }
    try await withTaskCancellationHandler {
      var open = choices
      var isSilent = true
      for await element in channel.elements {
        channel.noteTaken()
        switch element.event {
        case .silence:
          if isSilent { try await body(element.choice, .silence) }
          isSilent = true
          continue
        case .failed(let error): throw error
        case .ended: open -= 1
        case .started, .text: break
        }
        isSilent = false
        try await body(element.choice, element.event)
        if open == 0 { return }
      }
      throw CancellationError()
    } onCancel: {
      channel.cancel()
    }
  }

  /// What all choices have come to.
  func collect() async throws -> [Answer] {
    var answers = [Answer](repeating: Answer(), count: choices)
    try await forEach { choice, event in answers[choice].take(event) }
    return answers
  }
}

extension [GenerationResult] {
  /// The `usage` of OpenAI's APIs, and what of the conversation is no longer held apart.
  ///
  /// - Parameter prompts: how many of the choices have a prompt of their own
  func usage(prompts: Int = 1) -> JSONValue {
    let perPrompt = Swift.max(1, count / Swift.max(1, prompts))
    let firsts = indices.filter { $0 % perPrompt == 0 }.map { self[$0] }
    let prompt = firsts.reduce(0) { $0 + $1.promptTokens }
    let cached = firsts.reduce(0) { $0 + $1.cachedTokens }
    let answer = reduce(0) { $0 + $1.answerTokens }
    return [
      "prompt_tokens": JSONValue(prompt), "completion_tokens": JSONValue(answer),
      "total_tokens": JSONValue(prompt + answer), "prompt_tokens_details": ["cached_tokens": JSONValue(cached)],
      "completion_tokens_details": ["reasoning_tokens": JSONValue(reduce(0) { $0 + $1.thinkingTokens })],
      "evicted_tokens": JSONValue(map(\.evictedTokens).max() ?? 0), "cache": first?.cache.json ?? .null,
    ]
  }
}

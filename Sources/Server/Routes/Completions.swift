import Engine
import ModelJSON
import Tokenizers

/// `/v1/completions`: text that is continued as it stands.
extension Routes {
  func completion(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    var answer = try AnswerFields(&fields, model)
    answer.limit = try fields.integer("max_tokens", in: 0...Int(Int32.max)) ?? 16
    let prompts = try prompts(&fields)
    try fields.refuse(["suffix"]) { $0.string?.isEmpty ?? false }
    try fields.refuse(["echo"]) { $0.bool == false }
    try fields.refuse(["best_of"]) { $0.integer == 1 }
    answer.likeliest = try fields.integer("logprobs", in: 0...20)
    try fields.finish()
    guard prompts.count * answer.choices <= 128 else {
      throw RequestError.bad("n", "a request may have up to 128 answers", code: "invalid_value")
    }
    var requests: [GenerationRequest] = []
    for (index, prompt) in prompts.enumerated() {
      for choice in 0..<answer.choices {
        let number = index * answer.choices + choice
        requests.append(try answer.request(prompt, owner: owner, reader: nil, choice: number, model))
      }
    }
    let stream = AnswerStream(try scheduler.submit(requests), choices: requests.count)
    let writer = CompletionWriter(
      identifier: Self.identifier("cmpl-"), model: model.identifier, created: ConversationStore.now(),
      prompts: prompts.count,
      probabilities: answer.likeliest.map { _ in ProbabilityWriter(tokenizer: model.tokenizer) })
    guard answer.streams else { return .json(writer.whole(try await stream.collect())) }
    let (count, includesUsage) = (requests.count, answer.includesUsage)
    return .events { await writer.write(stream, choices: count, to: $0, includesUsage: includesUsage) }
  }

  /// A prompt is a text or a list of ids, and there may be a list of either.
  func prompts(
    _ fields: inout RequestFields, _ name: String = "prompt", limit: Int = 64
  ) throws(RequestError) -> [GenerationRequest.Prompt] {
    let wrong = RequestError.bad(
      name, "'\(name)' must be a string, an array of ids, or an array of up to \(limit) of these")
    guard let value = fields.value(name) else { throw wrong }
    if let prompt = try prompt(value, name) { return [prompt] }
    guard let elements = value.array, !elements.isEmpty, elements.count <= limit else { throw wrong }
    var prompts: [GenerationRequest.Prompt] = []
    for element in elements {
      guard let prompt = try prompt(element, name) else { throw wrong }
      prompts.append(prompt)
    }
    return prompts
  }

  private func prompt(_ value: JSONValue, _ name: String) throws(RequestError) -> GenerationRequest.Prompt? {
    if let text = value.string {
      var prompt = PromptText()
      prompt.append(text, isContent: true)
      return .text(RenderedConversation(prompt, tokenizer: model.tokenizer))
    }
    guard let elements = value.array, !elements.isEmpty, elements.allSatisfy({ $0.double != nil }) else { return nil }
    return .ids(try ids(elements, name))
  }

  /// - Throws: `RequestError` where something is no id of the vocabulary.
  func ids(_ elements: [JSONValue], _ parameter: String) throws(RequestError) -> [Int32] {
    var ids: [Int32] = []
    for element in elements {
      guard let id = element.integer, (0..<model.tokenizer.vocabularySize).contains(id) else {
        throw .bad(parameter, "ids in '\(parameter)' must be from 0 to \(model.tokenizer.vocabularySize - 1)")
      }
      ids.append(Int32(id))
    }
    return ids
  }
}

/// Writes completions in OpenAI's form, whole or in chunks.
private struct CompletionWriter: Sendable {
  let identifier: String
  let model: String
  let created: Int
  let prompts: Int
  /// Nil where no probabilities were asked for.
  let probabilities: ProbabilityWriter?

  func whole(_ answers: [Answer]) -> JSONValue {
    let choices = answers.enumerated().map { index, answer in
      choice(index, answer.text, answer.openAIFinish, answer.probabilities)
    }
    return object(choices, usage: answers.map(\.result).usage(prompts: prompts))
  }

  func write(_ stream: AnswerStream, choices: Int, to events: EventWriter, includesUsage: Bool) async {
    defer { stream.cancel() }
    var results = [GenerationResult](repeating: GenerationResult(), count: choices)
    do {
      try await stream.forEach { index, event in
        switch event {
        case .text(let parts, let noted):
          try await events.send(object([choice(index, parts.answerText, .null, noted)]))
        case .ended(let result):
          results[index] = result
          let finish: JSONValue = result.finish == .limit ? "length" : "stop"
          try await events.send(object([choice(index, "", finish, [])]))
        case .silence: try await events.sendComment()
        case .started, .failed: break
        }
      }
      if includesUsage { try await events.send(object([], usage: results.usage(prompts: prompts))) }
      try await events.sendDone()
    } catch {
      if let error = error as? RequestError { try? await events.send(error.json) }
    }
  }

  private func choice(
    _ index: Int, _ text: String, _ finish: JSONValue, _ noted: [TokenProbability]
  ) -> JSONValue {
    [
      "index": JSONValue(index), "text": .string(text),
      "logprobs": probabilities?.completion(noted) ?? .null, "finish_reason": finish,
    ]
  }

  private func object(_ choices: [JSONValue], usage: JSONValue? = nil) -> JSONValue {
    var members = JSONObject()
    members["id"] = .string(identifier)
    members["object"] = "text_completion"
    members["created"] = JSONValue(created)
    members["model"] = .string(model)
    members["choices"] = .array(choices)
    if let usage { members["usage"] = usage }
    return .object(members)
  }
}

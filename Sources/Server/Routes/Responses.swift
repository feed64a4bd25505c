import Engine
import ModelJSON
import NIOHTTP1

/// `/v1/responses`, OpenAI's newer API, with the responses that the server holds.
extension Routes {
  static let responsePrefix = "/v1/responses/"

  func response(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    let request = try ResponseFields(&fields, model) { responses.messages($0, owner: owner) }
    try fields.finish()
    let rendered = try request.chat.render(request.chat.messages, model, owner: owner)
    let reader = request.chat.reader(rendered, request.answer, model)
    var generation = try request.answer.request(
      .text(rendered), owner: owner, reader: reader, lead: request.chat.lead(rendered, model), choice: 0, model)
    generation.keepsMemory = request.stores
    let stream = AnswerStream(try scheduler.submit([generation]), choices: 1)
    let identifier = Self.identifier("resp_")
    let writer = ResponseWriter(
      identifier: identifier, model: model.identifier, created: ConversationStore.now(),
      promptTokens: generation.promptTokens.count, echo: request.echo,
      probabilities: request.answer.likeliest.map { _ in ProbabilityWriter(tokenizer: model.tokenizer) }
    ) { [responses, messages = request.messages, stores = request.stores] object, output in
      guard stores else { return }
      await responses.keep(object, identifier, messages: messages + [output.message], owner: owner)
    }
    if request.answer.streams { return .events { await writer.write(stream, to: $0) } }
    return .json(try await writer.whole(stream))
  }

  /// What was answered before, or that it is forgotten now.
  func storedResponse(_ request: HTTPRequest, owner: Int) throws -> HTTPResponse {
    let identifier = String(request.path.dropFirst(Self.responsePrefix.count))
    let missing = RequestError(
      status: 404, code: "response_not_found", message: "there is no response '\(identifier)' any more")
    switch request.method {
    case .GET:
      guard let object = responses.object(identifier, owner: owner) else { throw missing }
      return .json(object)
    case .DELETE:
      guard responses.remove(identifier, owner: owner) else { throw missing }
      return .json(["id": .string(identifier), "object": "response", "deleted": true])
    default:
      throw RequestError(
        status: 405, code: "method_not_allowed", message: "this path takes GET and DELETE", allow: "GET, DELETE")
    }
  }
}

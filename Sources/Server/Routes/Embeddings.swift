import Engine
import Foundation
import KVCaches
import ModelJSON

/// `/v1/embeddings`: the mean of a text's last hidden states, at length 1.
extension Routes {
  func embeddings(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    try model.check(fields.string("model"))
    fields.ignore(["user"])
    let format = try fields.string("encoding_format") ?? "float"
    guard ["float", "base64"].contains(format) else {
      throw RequestError.bad("encoding_format", "'encoding_format' must be float or base64", code: "invalid_value")
    }
    let width = model.hiddenSize
    try fields.refuse(["dimensions"]) { $0.integer == width }
    let inputs = try prompts(&fields, "input", limit: 2048)
    try fields.finish()
    let requests = try inputs.map { input throws(RequestError) in try model.embeddingRequest(input, owner: owner) }
    var results: [GenerationResult] = []
    // Some at a time, so that one request does not fill the queue.
    for first in stride(from: 0, to: requests.count, by: 16) {
      let part = Array(requests[first..<min(first + 16, requests.count)])
      let stream = AnswerStream(try scheduler.submit(part), choices: part.count)
      results += try await stream.collect().map(\.result)
    }
    let data = results.enumerated().map { index, result -> JSONValue in
      let values = Self.unit(result.embedding)
      let numbers: JSONValue =
        format == "base64" ? .string(Self.base64(values)) : .array(values.map { JSONValue(Double($0)) })
      return ["object": "embedding", "index": JSONValue(index), "embedding": numbers]
    }
    let tokens = JSONValue(results.reduce(0) { $0 + $1.promptTokens })
    return .json([
      "object": "list", "data": .array(data), "model": .string(model.identifier),
      "usage": ["prompt_tokens": tokens, "total_tokens": tokens],
    ])
  }

  /// The vector at length 1, as OpenAI gives them, so that products are cosines; zeros stay.
  private static func unit(_ values: [Float]) -> [Float] {
    let length = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return length > 0 ? values.map { Float(Double($0) / length) } : values
  }

  /// Little-endian floats of 32 bits.
  private static func base64(_ values: [Float]) -> String {
    var data = Data(capacity: 4 * values.count)
    for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) } }
    return data.base64EncodedString()
  }
}

extension ServedModel {
  /// A request that reads a text under a cache that keeps all of it.
  ///
  /// - Throws: `RequestError` where it is empty or longer than the model takes, or its memory too large.
  func embeddingRequest(_ input: GenerationRequest.Prompt, owner: Int) throws(RequestError) -> GenerationRequest {
    let tokens =
      switch input {
      case .text(let text): text.tokens(after: 0)
      case .ids(let ids): ids
      }
    guard !tokens.isEmpty else { throw .bad("input", "there is no text in 'input'") }
    guard tokens.count <= trainedLength else {
      throw .bad(
        "input", "'input' has \(tokens.count) tokens, but the model takes \(trainedLength)",
        code: "context_length_exceeded")
    }
    var request = GenerationRequest(
      prompt: .ids(tokens), promptTokens: tokens, owner: owner, plan: .full, sampling: samplingDefaults, limit: 0)
    request.embeds = true
    request.bytes = try bytes(of: .full, tokens: tokens.count)
    return request
  }
}

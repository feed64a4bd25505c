import Engine
import KVCaches
import ModelJSON
import TestSupport

@testable import Server

/// A server of a tiny model on a free port, and a client of it.
struct ServerSubject: Sendable {
  let server: SluiceServer
  let client: HTTPClient
  let loaded: LanguageModel.Loaded

  /// - Parameter template: the model's chat template; ChatML without it
  static func run(
    _ tiny: TinyModel = TinyModel(), template: String? = nil, change: (inout SluiceServer.Options) -> Void = { _ in },
    _ body: (ServerSubject) async throws -> Void
  ) async throws {
    let loaded = try withTemporaryDirectory { folder in
      try LanguageModel.Loaded(
        path: write(tiny, template, in: folder),
        options: LanguageModel.Options(threads: 1, chunk: 64, exactArithmetic: true))
    }
    var options = SluiceServer.Options()
    (options.port, options.memoryBytes, options.slotType) = (0, 64 << 20, .float32)
    options.drainTime = .zero
    change(&options)
    let server = try await SluiceServer(loaded, name: "tiny", options: options)
    let result = await Result { () async throws -> Void in
      try await body(ServerSubject(server: server, client: HTTPClient(port: server.port), loaded: loaded))
    }
    await server.stop()
    try result.get()
  }

  private static func write(_ tiny: TinyModel, _ template: String?, in folder: String) throws -> String {
    guard let template else { return try tiny.write(in: folder) }
    var writer = tiny.writer()
    writer.metadata.append(("tokenizer.chat_template", .string(template)))
    return try TestSupport.write(writer.bytes(), to: "tiny.gguf", in: folder)
  }

  /// A client with some key.
  func client(key: String) -> HTTPClient {
    HTTPClient(port: server.port, fields: [("Authorization", "Bearer \(key)")])
  }

  func chat(_ messages: [JSONValue], _ more: JSONValue = [:], by client: HTTPClient? = nil) async throws
    -> HTTPClient.Response
  {
    var members: JSONObject = JSONObject()
    members["model"] = "tiny"
    members["messages"] = .array(messages)
    members["temperature"] = 0
    members["max_tokens"] = 8
    for (name, value) in more.object ?? JSONObject() { members[name] = value }
    return try await (client ?? self.client).post("/v1/chat/completions", .object(members))
  }

  /// One of the server's numbers.
  func metric(_ name: String, by client: HTTPClient? = nil) async throws -> Double? {
    try await (client ?? self.client).get("/metrics").body.split(separator: "\n")
      .first { $0.hasPrefix("sluice_\(name) ") }
      .flatMap { $0.split(separator: " ").last.flatMap { Double($0) } }
  }

  /// Asks for a number until it is what it should be in the end.
  func waitFor(_ name: String, _ isReached: (Double) -> Bool) async throws {
    while true {
      if let value = try await metric(name), isReached(value) { return }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}

extension Result where Failure == any Error {
  fileprivate init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

func user(_ text: String) -> JSONValue { ["role": "user", "content": .string(text)] }

extension JSONValue {
  /// The answer of the first choice.
  var content: String? { self["choices"]?.array?.first?["message"]?["content"]?.string }
  var finishReason: String? { self["choices"]?.array?.first?["finish_reason"]?.string }
  var cachedTokens: Int? { self["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.integer }
}

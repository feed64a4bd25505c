import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Who may ask what, and within which bounds.
@Suite struct AccessTests {
  @Test func keysAreNeededButForHealth() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha", "beta"] }) { subject in
      let port = subject.server.port
      #expect(try await subject.client.get("/health").status == 200)
      for path in ["/v1/models", "/metrics"] {
        let refused = try await subject.client.get(path)
        #expect(refused.status == 401)
        #expect(refused.fields["www-authenticate"] == "Bearer")
        #expect(refused.json["error"]?["code"]?.string == "invalid_api_key")
      }
      for field in [("Authorization", "Bearer beta"), ("authorization", "bearer alpha"), ("X-API-Key", "alpha")] {
        #expect(
          try await HTTPClient(port: port, fields: [(name: field.0, value: field.1)]).get("/v1/models").status == 200)
      }
      for wrong in ["gamma", "", "alph", "alphaa"] {
        #expect(try await subject.client(key: wrong).get("/v1/models").status == 401)
      }
    }
  }

  @Test(arguments: [
    ("localhost", true), ("127.0.0.1:80", true), ("[::1]:8080", true), ("LOCALHOST:1", true), ("evil.example", false),
    ("localhost.evil.example", false), ("", false), ("192.168.0.5", false),
  ])
  func foreignHosts(_ host: String, _ isLocal: Bool) async throws {
    #expect(Access.isLocal(host) == isLocal)
    try await ServerSubject.run { subject in
      let client = HTTPClient(port: subject.server.port, fields: [(name: "Host", value: host)])
      let status = try await client.get("/v1/models").status
      #expect(status == (isLocal ? 200 : 403))
    }
  }

  @Test func pagesOfOthersCannotAsk() async throws {
    try await ServerSubject.run { subject in
      let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":1}"
      for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        #expect(try await subject.client.post("/v1/chat/completions", body, type: type).status == 415)
      }
      let response = try await subject.client.post(
        "/v1/chat/completions", body, type: "application/json; charset=utf-8")
      #expect(response.status == 200)
      #expect(!response.fields.keys.contains { $0.hasPrefix("access-control") })
    }
  }

  @Test func bodiesAreBounded() async throws {
    try await ServerSubject.run(change: { $0.bodyBytes = 1 << 20 }) { subject in
      let large = "{\"content\": \"\(String(repeating: "x", count: 3 << 20))\"}"
      #expect(try await subject.client.post("/tokenize", large).status == 413)
      // Chunks say no length before.
      let connection = try Connection(port: subject.server.port)
      let head = "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      try connection.send(Array(head.utf8))
      let chunk = Array("10000\r\n".utf8) + [UInt8](repeating: 0x20, count: 0x10000) + Array("\r\n".utf8)
      for _ in 0..<40 { try? connection.send(chunk) }
      try? connection.send(Array("0\r\n\r\n".utf8))
      #expect(try HTTPClient.response(from: connection.readToEnd()).status == 413)
      #expect(try await subject.client.get("/health").status == 200)
    }
  }

  /// Clients that send nothing, or not enough, are dropped.
  @Test(
    .timeLimit(.minutes(1)),
    arguments: ["", "GET / HT", "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"])
  func slowClientsAreDropped(_ start: String) async throws {
    try await ServerSubject.run(change: { ($0.headSeconds, $0.bodySeconds) = (1, 1) }) { subject in
      let connection = try Connection(port: subject.server.port)
      try connection.send(Array(start.utf8))
      #expect(connection.readToEnd().isEmpty)
    }
  }

  @Test func brokenRequests() async throws {
    try await ServerSubject.run { subject in
      let heads = [
        "NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "a", count: 200_000))\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n", "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
      ]
      for head in heads {
        let connection = try Connection(port: subject.server.port)
        try? connection.send(Array(head.utf8))
        let answer = connection.readToEnd()
        #expect(answer.isEmpty || String(decoding: answer.prefix(12), as: UTF8.self).hasPrefix("HTTP/1.1 4"))
      }
      #expect(try await subject.client.get("/health").status == 200)
    }
  }
}

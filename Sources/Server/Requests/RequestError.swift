import ModelJSON

/// Why a request is refused or cannot be finished, as clients are told.
struct RequestError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The status of the answer, where none has begun.
  var status: Int
  /// The kind as OpenAI names it.
  var type = "invalid_request_error"
  var code: String?
  /// The field that is wrong: `messages[2].content`.
  var parameter: String?
  var message: String
  /// Seconds after which to try again.
  var retryAfter: Int?
  /// The methods that the path takes, where it was asked with another.
  var allow: String?

  static func bad(_ parameter: String?, _ message: String, code: String? = nil) -> Self {
    Self(status: 400, code: code, parameter: parameter, message: message)
  }

  static func unsupported(_ parameter: String, _ reason: String = "is not supported") -> Self {
    bad(parameter, "'\(parameter)' \(reason)", code: "unsupported_parameter")
  }

  static func failed(_ message: String) -> Self { Self(status: 500, type: "server_error", message: message) }

  static let overloaded = Self(
    status: 503, type: "server_error", code: "overloaded", message: "too many requests wait; try again later",
    retryAfter: 2)

  static let stopped = Self(
    status: 503, type: "server_error", code: "stopped", message: "the server stops", retryAfter: 10)

  /// Nobody reads it; the log shows the status that other servers use.
  static let gone = Self(status: 499, message: "the client has gone")

  var description: String { message }

  /// In the form of OpenAI's API.
  var json: JSONValue {
    [
      "error": [
        "message": .string(message), "type": .string(type), "param": parameter.map { .string($0) } ?? .null,
        "code": code.map { .string($0) } ?? .null,
      ]
    ]
  }

  /// In the form of Anthropic's API.
  var anthropicJSON: JSONValue {
    let types = [
      401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
      429: "rate_limit_error", 500: "api_error", 503: "overloaded_error",
    ]
    let text = parameter.map { message.contains($0) ? message : "\($0): \(message)" } ?? message
    return [
      "type": "error", "error": ["type": .string(types[status] ?? "invalid_request_error"), "message": .string(text)],
    ]
  }
}

import ModelJSON
import NIOHTTP1

/// A request that has arrived whole.
struct HTTPRequest: Sendable {
  let method: HTTPMethod
  /// Without the query.
  let path: String
  let headers: HTTPHeaders
  let body: [UInt8]
  /// By which logs and the field `x-request-id` of the answer name it.
  let identifier: String

  /// The body as JSON.
  ///
  /// - Throws: `RequestError`, of status 415 where the content type is not JSON: a page of another site can send any other
  ///   kind without asking.
  func json() throws(RequestError) -> JSONValue {
    let type = headers.first(name: "content-type")?.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
    guard type == "application/json" else {
      throw RequestError(status: 415, message: "the content type must be application/json")
    }
    do {
      return try JSONValue(parsing: body)
    } catch {
      throw .bad(nil, "the body is no JSON: \(error.description)", code: "invalid_json")
    }
  }
}

/// What is answered.
enum HTTPResponse: Sendable {
  case json(JSONValue, status: Int = 200, headers: [String: String] = [:])
  case text(String, type: String)
  case file(PageFile)
  /// Server-sent events, written one after another; an error ends the connection.
  case events(@Sendable (EventWriter) async throws -> Void)
}

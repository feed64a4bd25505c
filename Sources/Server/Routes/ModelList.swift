import KVCaches
import ModelJSON

/// `/v1/models`.
extension Routes {
  func modelList() -> HTTPResponse {
    .json(["object": "list", "data": .array(([model.identifier] + model.aliases).map(describe))])
  }

  func describedModel(_ name: String) throws -> HTTPResponse {
    try model.check(name.unescaped)
    return .json(describe(name.unescaped))
  }

  private func describe(_ name: String) -> JSONValue {
    [
      "id": .string(name), "object": "model", "created": JSONValue(model.created), "owned_by": "sluice",
      "context_length": JSONValue(model.trainedLength), "cache": .string(model.plan.description),
    ]
  }
}

extension String {
  /// With `%2F` and its like as what they stand for; what is no escape stays.
  var unescaped: String {
    var bytes: [UInt8] = []
    var rest = Array(utf8)[...]
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(digits, radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

import KVCaches
import ModelJSON

/// `/v1/models`.
extension Routes {
  func modelList() -> HTTPResponse {
    .json(["object": "list", "data": .array(([model.identifier] + model.aliases).map(describe))])
  }

  func describedModel(_ name: String) throws -> HTTPResponse {
    try model.check(name.removingPercentEscapes)
    return .json(describe(name.removingPercentEscapes))
  }

  private func describe(_ name: String) -> JSONValue {
    [
      "id": .string(name), "object": "model", "created": JSONValue(model.created), "owned_by": "sluice",
      "context_length": JSONValue(model.trainedLength), "cache": .string(model.plan.description),
    ]
  }
}

import Engine
import ModelJSON
import SessionStore

/// Responses that outlive the server, each an item of its own without a memory.
extension SessionArchive {
  private static let response = "response"

  private func key(ofResponse identifier: String, owner: Int) -> ItemKey { unnamed(identifier, owner: owner) }

  /// Stores a response; returns once it is safe, or where that fails.
  func keep(_ response: JSONValue, messages: [JSONValue], _ identifier: String, owner: Int) async {
    guard store.keepsUnnamed else { return }
    let now = store.seconds
    let manifest = Manifest(
      fingerprint: Fingerprint(model: "", tokenizer: "", cache: ""), plan: "", slotType: "", modelName: model.name,
      tokens: 0, created: now, saved: now)
    var capture = ItemCapture(
      key(ofResponse: identifier, owner: owner), manifest, previous: nil, hash: store.pageHash)
    var text: [UInt8] = []
    JSONValue.array([response, .array(messages)]).write(to: &text)
    text.withUnsafeBytes { capture.write(.record(Self.response), $0) }
    // One that fails is counted, and is known to this server alone.
    try? await store.saveAhead(capture.change())
  }

  /// A stored response with the conversation up to and with it, or why there is none.
  func response(_ identifier: String, owner: Int) -> Result<(object: JSONValue, messages: [JSONValue]), Miss> {
    store.find(key(ofResponse: identifier, owner: owner)).flatMap { item in
      guard case .some(let bytes) = try? item.record(Self.response), let parts = try? JSONValue(parsing: bytes).array,
        parts.count == 2, let messages = parts[1].array
      else { return .failure(.corrupt) }
      return .success((parts[0], messages))
    }
  }

  /// - Returns: whether there was one.
  func removeResponse(_ identifier: String, owner: Int) -> Bool {
    let key = key(ofResponse: identifier, owner: owner)
    return (try? store.remove(key.name, of: key.tenant)) ?? false
  }
}

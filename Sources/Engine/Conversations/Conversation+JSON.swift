import ChatTemplates
import ModelJSON

/// What of a conversation stands in a file.
extension Conversation.Record {
  var json: JSONValue {
    var members = JSONObject()
    members["messages"] = .array(messages.map(\.json))
    if let time { members["time"] = .ids(time.parts.map(Int32.init)) }
    members["folded_count"] = .integer(Int64(read.foldedCount))
    members["folded_hash"] = .string(String(read.foldedHash, radix: 16))
    members["tokens"] = .ids(read.tokens)
    members["symbols"] = .ids(read.symbols)
    return .object(members)
  }

  /// - Returns: nil where something is missing or impossible.
  init?(_ json: JSONValue) {
    guard let elements = json["messages"]?.array, let foldedCount = json["folded_count"]?.integer, foldedCount >= 0,
      let foldedHash = json["folded_hash"]?.string.flatMap({ UInt64($0, radix: 16) }),
      let tokens = json["tokens"]?.ids, let symbols = json["symbols"]?.ids
    else { return nil }
    messages = []
    for element in elements {
      guard let message = ChatMessage(element) else { return nil }
      messages.append(message)
    }
    time = json["time"]?.ids.flatMap { TemplateTime(parts: $0.map(Int.init)) }
    read = ReadText(foldedCount: foldedCount, foldedHash: foldedHash, tokens: tokens, symbols: symbols)
  }
}

extension TemplateTime {
  fileprivate var parts: [Int] { [year, month, day, hour, minute, second] }

  fileprivate init?(parts: [Int]) {
    guard parts.count == 6 else { return nil }
    self.init(
      year: parts[0], month: parts[1], day: parts[2], hour: parts[3], minute: parts[4], second: parts[5])
  }
}

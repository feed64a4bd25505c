import KVCaches
import Kernels
import ModelJSON

/// A conversation as a file: what was said, what of it was read, and the memory of the sequence that read it.
///
/// One line (`SLUICECHAT`, version, the length of the header, its CRC-32C), the header as JSON, then the cache's
/// snapshot, which has checksums of its own.
struct SavedConversation {
  var model: String
  var cache: String
  var conversation: Conversation.Record
  /// The answer that is still open, and how many tokens the sequence had where it began.
  var answer: ChatMessage?
  var answerStart: Int
  /// Tokens that ever came, the newest of them, and those that wait.
  var count: Int
  var newest: [Int32]
  var waiting: [Int32]
  var waitingIsPrompt: Bool
  var snapshot: [UInt8]

  private static let magic = "SLUICECHAT"
  private static let version = 1
  /// Ids of the sequence that are kept, for penalties.
  static let keptIDs = 1 << 12

  var bytes: [UInt8] {
    var header = JSONObject()
    header["model"] = .string(model)
    header["cache"] = .string(cache)
    header["conversation"] = conversation.json
    header["answer"] = answer?.json ?? .null
    header["answer_start"] = .integer(Int64(answerStart))
    header["count"] = .integer(Int64(count))
    header["newest"] = .ids(newest)
    header["waiting"] = .ids(waiting)
    header["waiting_is_prompt"] = .bool(waitingIsPrompt)
    var text: [UInt8] = []
    JSONValue.object(header).write(to: &text)
    let checksum = text.withUnsafeBytes { Checksum.crc32c($0) }
    return Array("\(Self.magic) \(Self.version) \(text.count) \(checksum)\n".utf8) + text + snapshot
  }

  /// - Throws: `LanguageModelError` where the bytes are no such file, or a damaged one.
  init(_ bytes: [UInt8], name: String) throws(LanguageModelError) {
    let damaged = { (reason: String) in LanguageModelError.malformed(name, reason) }
    let line = bytes.prefix(80).prefix { $0 != 0x0a }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
    guard words.first == Self.magic, words.count == 4, line.count < 80 else { throw damaged("this is no saved chat") }
    guard words[1] == String(Self.version) else {
      throw damaged("a saved chat of version \(words[1]), this program reads \(Self.version)")
    }
    let rest = bytes.dropFirst(line.count + 1)
    guard let length = Int(words[2]), length >= 0, length <= rest.count, let checksum = UInt32(words[3]),
      Array(rest.prefix(length)).withUnsafeBytes({ Checksum.crc32c($0) }) == checksum
    else { throw damaged("the saved chat is damaged") }
    let header: JSONValue
    do {
      header = try JSONValue(parsing: Array(rest.prefix(length)))
    } catch {
      throw damaged("the saved chat is damaged: \(error)")
    }
    guard let model = header["model"]?.string, let cache = header["cache"]?.string,
      let conversation = header["conversation"].flatMap(Conversation.Record.init),
      let answerStart = header["answer_start"]?.integer, let count = header["count"]?.integer,
      let newest = header["newest"]?.ids, let waiting = header["waiting"]?.ids,
      let waitingIsPrompt = header["waiting_is_prompt"]?.bool, count >= newest.count, waiting.count <= newest.count,
      (0...count).contains(answerStart)
    else { throw damaged("the saved chat lacks what belongs to it") }
    let answer = header["answer"].flatMap(ChatMessage.init)
    (self.model, self.cache, self.conversation, self.answer) = (model, cache, conversation, answer)
    (self.answerStart, self.count, self.newest) = (answerStart, count, newest)
    (self.waiting, self.waitingIsPrompt) = (waiting, waitingIsPrompt)
    snapshot = Array(rest.dropFirst(length))
  }

  init(
    model: String, cache: String, conversation: Conversation.Record, answer: ChatMessage?, answerStart: Int,
    sequence: Sequence
  ) {
    (self.model, self.cache, self.conversation, self.answer) = (model, cache, conversation, answer)
    self.answerStart = answerStart
    count = sequence.count
    let kept = min(sequence.log.count, max(Self.keptIDs, sequence.waitingTokens, sequence.count - answerStart))
    newest = (0..<kept).reversed().map { sequence.log[back: $0] }
    (waiting, waitingIsPrompt) = (sequence.waiting, sequence.isInPrompt)
    snapshot = sequence.memory.snapshot()
  }
}

extension JSONValue {
  static func ids(_ ids: [Int32]) -> JSONValue { .array(ids.map { .integer(Int64($0)) }) }

  /// Numbers of 32 bits; nil where there is anything else.
  var ids: [Int32]? {
    guard let elements = array else { return nil }
    var ids: [Int32] = []
    for element in elements {
      guard let id = element.integer.flatMap(Int32.init(exactly:)) else { return nil }
      ids.append(id)
    }
    return ids
  }
}

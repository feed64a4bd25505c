import ModelJSON

/// What of a session is kept beside the memory of its sequence.
struct SessionRecord: Sendable {
  /// Nil where the session only continues text.
  var conversation: Conversation.Record?
  /// The answer that is still open, and how many tokens the sequence had where it began.
  var answer: ChatMessage?
  var answerStart: Int
  var sequence: SequenceRecord

  /// - Parameter atLeast: newest ids that have to be kept
  init(
    conversation: Conversation.Record?, answer: ChatMessage?, answerStart: Int, of sequence: Sequence, atLeast: Int = 0
  ) {
    (self.conversation, self.answer, self.answerStart) = (conversation, answer, answerStart)
    let ofAnswer = answer == nil ? 0 : sequence.count - answerStart
    self.sequence = SequenceRecord(sequence, atLeast: max(atLeast, ofAnswer))
  }

  /// The same session, all of whose tokens wait; nil where some are not known any more.
  var withoutMemory: SessionRecord? {
    guard sequence.newest.count == sequence.count else { return nil }
    var record = self
    (record.sequence.waiting, record.sequence.waitingIsPrompt) = (sequence.newest, true)
    return record
  }

  /// Puts its members into an object, what grows at its end first.
  func write(to object: inout JSONObject) {
    object["conversation"] = conversation?.json ?? .null
    object["answer"] = answer?.json ?? .null
    object["answer_start"] = .integer(Int64(answerStart))
    sequence.write(to: &object)
  }

  /// - Returns: nil where something is missing or impossible.
  init?(_ json: JSONValue) {
    guard let stored = json["conversation"], let answerStart = json["answer_start"]?.integer,
      let sequence = SequenceRecord(json), (0...sequence.count).contains(answerStart)
    else { return nil }
    if !stored.isNull {
      guard let conversation = Conversation.Record(stored) else { return nil }
      self.conversation = conversation
    }
    answer = json["answer"].flatMap(ChatMessage.init)
    (self.answerStart, self.sequence) = (answerStart, sequence)
  }

  var bytes: [UInt8] {
    var object = JSONObject()
    write(to: &object)
    var text: [UInt8] = []
    JSONValue.object(object).write(to: &text)
    return text
  }
}

import Engine
import KVCaches

/// What `/memory` tells: what is held, what was let go, and what the last message cost.
struct ChatMemory {
  let text: String

  init(_ state: SessionState, _ engine: InferenceEngine) throws {
    let sequence = try state.sequence(engine)
    let memory = sequence.memory
    let (seen, held) = (Int(memory.tokenCount), memory.heldTokens)
    var lines = [
      "cache   \(memory.plan), \(memory.slotType.rawValue), \(HumanReadable.bytes(sequence.bytes))",
      "tokens  \(HumanReadable.count(seen)) read, \(HumanReadable.count(held)) held apart, "
        + "\(HumanReadable.count(max(0, seen - held))) let go or melted together",
    ]
    if state.conversation != nil { lines.append("turn    " + Self.cost(state.lastStep)) }
    if memory.undoableTokens > 0 {
      lines.append("undo    the last \(HumanReadable.tokens(sequence.undoableTokens)) can be taken back")
    }
    text = lines.joined(separator: "\n") + "\n"
  }

  private static func cost(_ step: Conversation.Step) -> String {
    let new = HumanReadable.tokens(step.tokens.count - step.readAgain)
    var text = "\(new) of the last message read"
    if step.restarts {
      text += "; the template wrote the conversation anew, so \(HumanReadable.count(step.readAgain)) were read again"
    } else if step.readAgain > 0 {
      text +=
        ", \(HumanReadable.count(step.readAgain)) of the answer before it again: "
        + "the template writes old answers without their thoughts"
    } else if step.keepsThoughts {
      text += "; thoughts of the answer before it stay, since it is longer than what can be taken back (--undo)"
    }
    return text
  }
}

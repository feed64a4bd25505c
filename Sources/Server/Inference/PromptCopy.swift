import Engine
import KVCaches
import Tokenizers

/// A prompt that a memory has just read, for further answers to it: they take up a copy of the memory and begin with the same
/// logits, and read nothing.
struct PromptCopy {
  let reader: GenerationJob
  private let sequence: Sequence
  private let logits: [Float]
  private let count: Int
  private let newest: [Int32]
  private let read: ReadText

  /// Tokens of the prompt that penalties may look at.
  private static let keptTokens = 4096

  /// - Parameter logits: those after the prompt, which nothing has changed yet
  init?(_ reader: GenerationJob, _ logits: UnsafeMutableBufferPointer<Float>) {
    guard let sequence = reader.sequence, sequence.waitingTokens == 0 else { return nil }
    (self.reader, self.sequence, self.logits) = (reader, sequence, Array(logits))
    (count, read) = (sequence.count, reader.read)
    newest = (0..<min(sequence.log.count, Self.keptTokens)).reversed().map { sequence.log[back: $0] }
  }

  /// Begins answers with copies of the memory, and gives each the logits; the memory has read no more than the prompt.
  ///
  /// - Parameters:
  ///   - make: an empty memory for an answer; nil where there is no room for it now
  ///   - accept: gives a job that has begun its first logits
  func begin(
    _ followers: [GenerationJob], tokenizer: Tokenizer, constraints: ConstraintTables?,
    make: (GenerationJob) throws -> HeldSequence?, accept: (GenerationJob, UnsafeMutableBufferPointer<Float>) -> Void,
    fail: (GenerationJob, any Error) -> Void
  ) {
    let snapshot = sequence.memory.snapshot()
    for follower in followers {
      do {
        guard var held = try make(follower) else { return }
        try held.sequence.memory.restore(snapshot)
        held.sequence.resume(count: count, newest: newest, waiting: [], isInPrompt: false)
        held.read = read
        follower.start(copy: held, tokenizer: tokenizer, constraints: constraints)
      } catch {
        fail(follower, error)
        continue
      }
      var logits = logits
      logits.withUnsafeMutableBufferPointer { accept(follower, $0) }
    }
  }
}

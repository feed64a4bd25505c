/// Following one sequence step by step, for programs that have only one.
extension Scheduler {
  /// The logits after all tokens of a sequence that guesses nothing, valid until the next step.
  ///
  /// - Parameter proceeds: asked between the chunks of what waits; false leaves the rest for another call.
  /// - Returns: nil where `proceeds` said no.
  /// - Precondition: at least one token waits, and no other sequence wants logits.
  package func logits(
    of sequence: Sequence, while proceeds: () -> Bool = { true }
  ) -> UnsafeMutableBufferPointer<Float>? {
    var result: UnsafeMutableBufferPointer<Float>?
    sequence.requestLogits()
    add(sequence)
    run(while: proceeds) { receiver, logits in
      precondition(receiver === sequence, "logits that nobody takes")
      result = logits
    }
    return result
  }

  /// Gives the logits after all tokens of a sequence to `receive`, and those after guessed ones that it agrees with.
  ///
  /// - Parameter proceeds: asked between the chunks of what waits; false leaves the rest for another call.
  /// - Returns: whether there were logits.
  /// - Precondition: logits were requested, and no other sequence wants any.
  package func logits(
    of sequence: Sequence, while proceeds: () -> Bool,
    _ receive: (UnsafeMutableBufferPointer<Float>) throws -> Void
  ) throws -> Bool {
    var result = false
    var failure: (any Error)?
    add(sequence)
    run(while: proceeds) { receiver, logits in
      precondition(receiver === sequence, "logits that nobody takes")
      result = true
      do { try receive(logits) } catch { failure = error }
    }
    if let failure { throw failure }
    return result
  }

  /// The text of a generation's next tokens, possibly empty, or nil once the text has ended.
  ///
  /// - Parameter proceeds: asked before and between the chunks of what waits; false ends the text as cancelled.
  /// - Throws: as `Generation.accept`.
  package func next(
    of generation: inout Generation, while proceeds: () -> Bool = { true }
  ) throws -> String? {
    guard generation.finish == nil else { return nil }
    var text = ""
    guard proceeds(), generation.requestLogits(),
      try logits(of: generation.sequence, while: proceeds, { text += try generation.accept($0) })
    else { return generation.cancel() }
    return text
  }
}

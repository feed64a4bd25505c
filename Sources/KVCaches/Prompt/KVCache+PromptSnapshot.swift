/// What a snapshot saves of a cache that chooses among a prompt's tokens, beside the slots that grow.
extension KVCache {
  /// Calls `body` with the packed block, the queries that may vote, and what packed slots stand for.
  func forEachPromptRange(tokens: Int64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    guard plan.prompt != nil else { return }
    let packed = storage[places[0].storage].packed
    if let packed { body(packed.contents) }
    observation?.forEachUsedRange(tokens: tokens, body)
    for head in 0..<shape.layers * shape.keyValueHeads {
      if let counts = packed?.represented(head: head) { body(UnsafeMutableRawBufferPointer(counts)) }
    }
  }

  /// The bytes that `forEachPromptRange` hands over for stages from a snapshot.
  ///
  /// - Throws: `KVCacheError` where the stage's counters cannot be those of this cache after `tokens` tokens.
  func promptBytes(of stages: [any Stage], tokens: Int64) throws(KVCacheError) -> Int {
    guard let prompt = plan.prompt, let stage = stages[0] as? PromptStage else { return 0 }
    let counts = stage.packed
    guard counts.isEmpty || counts.count == shape.layers * shape.keyValueHeads else {
      throw .badSnapshot("it holds tokens of \(counts.count) heads")
    }
    let held = Int64(stage.largestPacked) + Int64(stage.grown)
    guard counts.isEmpty ? held == tokens : held <= tokens && counts.allSatisfy({ $0 >= prompt.window }) else {
      throw .badSnapshot("impossible counts of a prompt's tokens")
    }
    let queries =
      stage.isFinished || prompt.voters == 0
      ? 0 : ObservationWindow.usedBytes(tokens: tokens, size: prompt.voters, shape: shape)
    return queries + PackedSlots.bytes(type: slotType.elementType, headDim: shape.headDim, counts: counts)
      + Self.representedBytes(prompt, counts)
  }

  private static func representedBytes(_ prompt: Prompt, _ counts: [Int]) -> Int {
    prompt.centers != nil ? counts.reduce(0, +) * 8 : 0
  }

  /// Checks what packed slots stand for, at the end of a snapshot's slots.
  ///
  /// - Throws: `KVCacheError` where a slot stands for nothing, or a head for more tokens than have come.
  func checkRepresented(
    _ payload: UnsafeRawBufferPointer, of stages: [any Stage], tokens: Int64
  ) throws(KVCacheError) {
    guard let prompt = plan.prompt, let stage = stages[0] as? PromptStage else { return }
    var offset = payload.count - Self.representedBytes(prompt, stage.packed)
    guard offset < payload.count else { return }
    for count in stage.packed {
      var left = tokens - Int64(stage.grown)
      for _ in 0..<count {
        let represented = payload.loadUnaligned(fromByteOffset: offset, as: Int64.self)
        guard represented >= 1, represented <= left else {
          throw .badSnapshot("a slot stands for \(represented) tokens")
        }
        left -= represented
        offset += 8
      }
    }
  }

  /// Gives packed slots the weight of what they stand for, as a snapshot says it.
  func weighPacked() {
    guard let packed = storage[places[0].storage].packed else { return }
    for head in 0..<shape.layers * shape.keyValueHeads { packed.weigh(head: head) }
  }
}

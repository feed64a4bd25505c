import Kernels

/// The vote at the end of a prompt: how much attention the newest tokens give each token that a cache holds, over all layers
/// that read its keys.
///
/// Two passes over the stored keys for the window's queries alone, the first for the maxima and sums of the softmax over
/// whole rows, the second for the probabilities themselves. Only what is stored enters, so the result is the same bit for
/// bit however the prompt was cut into chunks and whatever the number of threads.
struct PromptVotes {
  let attention: AttentionLayer
  let prompt: Prompt
  let observation: ObservationWindow
  /// Tokens that ever entered; the last ones are the window.
  let tokenCount: Int64
  private let rotary: RotaryEmbedding?
  /// Cosines then sines of the window's places, `[token of the window, (cosine | sine), pair]`.
  private let angles: Buffer<Float>

  /// - Precondition: at least as many tokens entered as vote.
  init(
    attention: AttentionLayer, prompt: Prompt, tokenCount: Int64, _ queries: ObservationWindow
  ) {
    precondition(tokenCount >= Int64(prompt.window), "the window is full")
    (self.attention, self.prompt, self.tokenCount, observation) = (attention, prompt, tokenCount, queries)
    guard case .rotary(let rotary) = attention.positions else {
      (self.rotary, angles) = (nil, Buffer(count: 0))
      return
    }
    let half = rotary.dim / 2
    (self.rotary, angles) = (rotary, Buffer(count: prompt.window * 2 * half))
    for token in 0..<prompt.window {
      let target = angles.pointer + token * 2 * half
      rotary.angles(at: position(token), cosine: target, sine: target + half)
    }
  }

  fileprivate var tileTokens: Int { HeadShape(attention).tileTokens }

  /// The place in the stream of a token of the window.
  private func position(_ token: Int) -> Int64 { tokenCount - Int64(prompt.window - token) }

  /// The buffers of one thread.
  final class Scratch {
    let partial: PartialAttention
    /// Queries of a tile, rotated and scaled, `[token, query head of the group, headDim]`.
    let queries: Buffer<Float>
    /// One past the last slot of a block that each token sees, `[token]`.
    let visible: Buffer<Int32>
    let kernel: Buffer<Float>
    /// What each query head gives each token, `[layer that reads the keys, query head of the group, token]`.
    var votes = GrowingBuffer<Float>()

    init(_ votes: PromptVotes) {
      let rows = votes.tileTokens * votes.attention.groupSize
      partial = PartialAttention(rows: rows, headDim: votes.attention.headDim)
      queries = Buffer(count: rows * votes.attention.headDim)
      visible = Buffer(count: votes.tileTokens)
      kernel = Buffer(count: InstructionSet.attentionScratch(rows: rows, headDim: votes.attention.headDim))
    }
  }

  /// Writes the reduced votes on a head's tokens before the window, pooled.
  ///
  /// - Parameters:
  ///   - place: of the head
  ///   - scores: `[token]`, as many as the head holds without the window
  func count(
    place: Int, _ held: HeldSlots, into scores: UnsafeMutablePointer<Float>, _ scratch: Scratch,
    _ kernels: InstructionSet
  ) {
    let (rings, count) = (observation.rings(place: place), held.count)
    let voters = rings.count * attention.groupSize
    // One row more, for pooling.
    scratch.votes.reserve((voters + 1) * count)
    let votes = scratch.votes.pointer
    votes.update(repeating: 0, count: voters * count)
    for ring in rings {
      let own = votes + (ring - rings.lowerBound) * attention.groupSize * count
      for first in stride(from: 0, to: prompt.window, by: tileTokens) {
        let tokens = first..<min(first + tileTokens, prompt.window)
        add(tokens, ring: ring, held, to: own, scratch, kernels)
      }
    }
    let (candidates, pooled) = (count - prompt.window, votes + voters * count)
    for index in 0..<voters {
      PromptChoice.pool(votes + index * count, count: candidates, by: prompt.pooling, into: pooled)
      for token in 0..<candidates {
        if index == 0 {
          scores[token] = pooled[token]
        } else if prompt.reduction == .maximum {
          scores[token] = max(scores[token], pooled[token])
        } else {
          scores[token] += pooled[token]
        }
      }
    }
    guard prompt.reduction == .mean else { return }
    for token in 0..<candidates { scores[token] /= Float(voters) }
  }

  /// Adds the probabilities that some tokens of the window give to all that the head holds.
  private func add(
    _ tokens: Range<Int>, ring: Int, _ held: HeldSlots, to votes: UnsafeMutablePointer<Float>, _ scratch: Scratch,
    _ kernels: InstructionSet
  ) {
    let (group, partial) = (attention.groupSize, scratch.partial)
    let rows = tokens.count * group
    prepareQueries(tokens, ring: ring, scratch, kernels)
    let queries = QueryRows(
      scratch.queries.pointer, stride: attention.headDim, count: rows, rowsPerToken: group,
      softCap: attention.softCap ?? 0)
    partial.reset(rows: 0..<rows)
    let sinkLogits = observation.sinkLogits(ring: ring)
    for row in 0..<rows { partial.add(sinkLogit: sinkLogits[row % group], row: row) }
    forEachBlock(tokens, held, scratch) { slots, run, _ in
      kernels.attend(
        slots, run: run, queries: queries, partial: partial.rows(from: 0),
        visibleLast: UnsafePointer(scratch.visible.pointer), scratch: scratch.kernel.pointer)
    }
    forEachBlock(tokens, held, scratch) { slots, run, first in
      kernels.addColumnSums(
        slots, run: run, queries: queries, max: partial.maximum.pointer, sum: partial.sum.pointer,
        visibleLast: UnsafePointer(scratch.visible.pointer), scratch: scratch.kernel.pointer, to: votes + first,
        headStride: held.count)
    }
  }

  /// Calls `body` with the used slots of each block and the tokens before it, once the scratch says what each token sees.
  private func forEachBlock(
    _ tokens: Range<Int>, _ held: HeldSlots, _ scratch: Scratch, _ body: (SlotStorage, Range<Int>, Int) -> Void
  ) {
    var first = 0
    for (slots, count) in zip(held.slots, held.counts) where count > 0 {
      for (index, token) in tokens.enumerated() {
        // A token of the window sees itself and what is older.
        let seen = held.count - prompt.window + token + 1 - first
        scratch.visible.pointer[index] = Int32(min(max(seen, 0), count))
      }
      body(slots, 0..<count, first)
      first += count
    }
  }

  /// Rotates the queries of some tokens of the window to their places and scales them.
  private func prepareQueries(
    _ tokens: Range<Int>, ring: Int, _ scratch: Scratch, _ kernels: InstructionSet
  ) {
    let width = attention.groupSize * attention.headDim
    for (index, token) in tokens.enumerated() {
      let source = observation.queries(ring: ring, position: position(token))
      let target = scratch.queries.pointer + index * width
      if let rotary {
        let cosine = angles.pointer + token * rotary.dim
        kernels.rotate(
          source, out: target, heads: attention.groupSize, headStride: attention.headDim, headDim: attention.headDim,
          rotaryDim: rotary.dim, layout: rotary.layout, cosine: cosine, sine: cosine + rotary.dim / 2)
      } else {
        target.update(from: source, count: width)
      }
      let temperature = attention.temperature?.factor(at: position(token)) ?? 1
      kernels.scale(target, by: attention.scale * temperature, count: width)
    }
  }
}

import Kernels

/// One thread's unit of work: some query heads of one KV head, for some tokens of a segment.
struct AttentionTask {
  /// Index of the group's replay among those of the step.
  let replay: Int
  let head: Int
  private let firstQueryHead, lastQueryHead: Int
  private let firstToken, lastToken: Int

  init(replay: Int, head: Int, queryHeads: Range<Int>, tokens: Range<Int>) {
    self.replay = replay
    self.head = head
    (firstQueryHead, lastQueryHead) = (queryHeads.lowerBound, queryHeads.upperBound)
    (firstToken, lastToken) = (tokens.lowerBound, tokens.upperBound)
  }

  var queryHeads: Range<Int> { firstQueryHead..<lastQueryHead }
  /// Tokens of the segment.
  var tokens: Range<Int> { firstToken..<lastToken }
  /// Query heads times tokens.
  var rows: Int { queryHeads.count * tokens.count }

  /// The part of the task that has some of its tokens.
  func tile(_ tokens: Range<Int>) -> AttentionTask {
    AttentionTask(replay: replay, head: head, queryHeads: queryHeads, tokens: tokens)
  }
}

/// One of the threads that share some work, and how many there are.
struct WorkShare {
  var index: Int
  var count: Int

  static let whole = WorkShare(index: 0, count: 1)
  var isLast: Bool { index == count - 1 }

  /// The part of `0..<total` that belongs to the share.
  func part(of total: Int) -> Range<Int> { total * index / count..<total * (index + 1) / count }
}

/// Which of what a task reads it attends to: all of it, or in two parts where queries come long before keys.
enum AttentionPhase {
  case whole
  /// What was stored before the step.
  case stored
  /// The step's own tokens, going on from the partials of what was stored.
  case chunk
}

/// The arguments of one layer, without reference counts.
struct LayerCall {
  var layer: Int
  var phase = AttentionPhase.whole
  /// What logits are multiplied by.
  var scale: Float
  /// c where a scaled logit x becomes c tanh(x / c); 0 where it stays as it is.
  var softCap: Float
  /// `[token, query head, headDim]`, without positions.
  var queries: UnsafePointer<Float>
  /// `[token, KV head, headDim]`, without positions.
  var keys: UnsafePointer<Float>
  /// `[token, KV head, headDim]`
  var values: UnsafePointer<Float>
  /// Learned sink logits, `[query head]`, or nil.
  var sinkLogits: UnsafePointer<Float>?
  /// Learned gates before the sigmoid, `[query head]`, or nil.
  var gates: UnsafePointer<Float>?
  /// `[token, query head, headDim]`
  var output: UnsafeMutablePointer<Float>
  /// Where partials go that were asked for, `[token, query head]`; nil where nobody did.
  var partials: PartialRows?
}

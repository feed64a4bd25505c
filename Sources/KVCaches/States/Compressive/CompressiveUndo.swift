import Kernels

/// Takes tokens of the segment under way back out of what it will add to a memory.
///
/// Sums of floats cannot be undone by subtracting, so the sums as they stood before the oldest noted token are kept, and keys and
/// values since; the tokens that stay are added anew, in the same order and to the same bits. What a finished segment has
/// added stays: nothing can be taken back from before the first token of the segment.
final class CompressiveUndo: StateUndo {
  private unowned let state: CompressiveState
  /// Tokens of a segment.
  private let room: Int
  /// The state's numbers before the oldest noted token, and the segments that were in them.
  private let base: Buffer<Float>
  private let baseFolded: Buffer<Int64>
  /// Keys and values since, as they came: `[place][token][key, value][headDim]`.
  private let tokens: Buffer<Float>
  private var hasBase = false
  /// Tokens noted, and those of them from before the step under way.
  private var (count, countBeforeStep) = (0, 0)
  /// Whether the step under way is noted.
  private(set) var isRecording = false

  init(_ state: CompressiveState) {
    self.state = state
    room = state.site.stages.dropLast().last?.capacity ?? 0
    base = Buffer(count: state.numbers.count)
    baseFolded = Buffer(count: state.site.count)
    tokens = Buffer(count: state.site.count * room * 2 * state.site.headDim)
  }

  override var bytes: Int { (base.count + tokens.count) * 4 + baseFolded.count * 8 }

  override func startsAnew(_ group: HeadGroup) -> Bool { group.ledger.stages.dropLast().last?.count == room }

  override func begin(tokens: Int, first: Int64) {
    if !hasBase {
      base.pointer.update(from: state.numbers.pointer, count: base.count)
      baseFolded.pointer.update(from: state.folded.pointer, count: baseFolded.count)
      (hasBase, count) = (true, 0)
    }
    precondition(count + tokens <= room, "a chunk ends where a segment does")
    (countBeforeStep, count, isRecording) = (count, count + tokens, true)
  }

  private func token(_ index: Int, place: Int) -> UnsafeMutablePointer<Float> {
    tokens.pointer + (place * room + index) * 2 * state.site.headDim
  }

  /// Notes a token of the step under way for one head.
  func note(_ index: Int, key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int) {
    let (dim, noted) = (state.site.headDim, token(countBeforeStep + index, place: place))
    noted.update(from: key, count: dim)
    (noted + dim).update(from: value, count: dim)
  }

  override func splits(tokens: Int) -> Bool { true }

  override func undo(tokens: Int, first: Int64) {
    count -= tokens
    let (dim, scratch) = (state.site.headDim, Buffer<Float>(count: 2 * state.site.headDim))
    for place in 0..<state.site.count {
      // All noted tokens are of one segment, so the same ones are in the memory for each.
      let segments = state.folded.pointer[place]
      let range = (place * state.headFloats, count: state.headFloats)
      (state.numbers.pointer + range.0).update(from: base.pointer + range.0, count: range.count)
      state.folded.pointer[place] = baseFolded.pointer[place]
      guard count > 0 else { continue }
      state.fold(place: place, segments: segments)
      for index in 0..<count {
        let noted = token(index, place: place)
        state.takeIn(key: noted, value: noted + dim, place: place, scratch: scratch.pointer, .current)
      }
    }
  }

  override func clear() { (hasBase, isRecording, count) = (false, false, 0) }
}

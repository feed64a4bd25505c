import Kernels

/// The queries of the newest tokens of a sequence, which vote when its prompt ends.
///
/// Kept from chunk to chunk, as they came from the model: the vote then does not depend on where chunks ended.
final class ObservationWindow {
  /// The most tokens that vote.
  let size: Int
  private let site: StateSite
  /// Rings without positions, `[place, place in the stream modulo size, query head of the group, headDim]`.
  private let queries: Buffer<Float>
  /// Learned sink logits as the last step had them, -infinity where there are none, `[place, query head of the group]`.
  private let sinks: Buffer<Float>

  init(size: Int, _ site: StateSite) {
    (self.size, self.site) = (size, site)
    queries = Buffer(count: site.count * size * site.groupWidth)
    sinks = Buffer(count: site.count * site.groupSize)
    sinks.elements.update(repeating: -.infinity)
  }

  static func bytes(size: Int, _ site: StateSite) -> Int {
    size == 0 ? 0 : site.count * (size * site.groupWidth + site.groupSize) * 4
  }

  var bytes: Int { (queries.count + sinks.count) * 4 }

  /// The queries of the token at a place in the stream, `[query head of the group, headDim]`.
  func queries(place: Int, position: Int64) -> UnsafeMutablePointer<Float> {
    queries.pointer + (place * size + Int(position % Int64(size))) * site.groupWidth
  }

  /// Learned sink logits, `[query head of the group]`.
  func sinkLogits(place: Int) -> UnsafeMutablePointer<Float> { sinks.pointer + place * site.groupSize }

  /// Floats of what is kept of one token.
  static func tokenFloats(_ site: StateSite) -> Int { site.count * site.groupWidth }

  /// Copies what is kept at the place of a token, `[place, query head of the group, headDim]`.
  func copyQueries(at position: Int64, to target: UnsafeMutablePointer<Float>) {
    for place in 0..<site.count {
      (target + place * site.groupWidth).update(from: queries(place: place, position: position), count: site.groupWidth)
    }
  }

  /// Takes up again what was kept at the place of a token, as `copyQueries` gave it.
  func setQueries(at position: Int64, from source: UnsafePointer<Float>) {
    for place in 0..<site.count {
      queries(place: place, position: position).update(from: source + place * site.groupWidth, count: site.groupWidth)
    }
  }

  /// Forgets everything.
  func reset() {
    queries.elements.update(repeating: 0)
    sinks.elements.update(repeating: -.infinity)
  }

  /// Takes over what another window keeps, of the heads from place `first` on.
  func copy(_ other: ObservationWindow, to first: Int) {
    (queries.pointer + first * size * site.groupWidth).update(from: other.queries.pointer, count: other.queries.count)
    sinkLogits(place: first).update(from: other.sinks.pointer, count: other.sinks.count)
  }

  /// Calls `body` with all that is kept of some heads of a sequence of so many tokens.
  func forEachUsedRange(_ places: Range<Int>, tokens: Int64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let used = Int(min(tokens, Int64(size)))
    for place in places {
      body(
        UnsafeMutableRawBufferPointer(
          start: queries.pointer + place * size * site.groupWidth, count: used * site.groupWidth * 4))
      body(UnsafeMutableRawBufferPointer(start: sinkLogits(place: place), count: site.groupSize * 4))
    }
  }
}

/// The queries that the newest steps overwrote.
final class ObservationUndo: StateUndo {
  private let state: PromptState
  private let depth: Int
  /// A ring, `[token, place, query head of the group, headDim]`.
  private let queries: Buffer<Float>

  /// There need not be a window now: after a reset there is one again.
  init(_ state: PromptState, depth: Int) {
    (self.state, self.depth) = (state, depth)
    queries = Buffer(count: depth * ObservationWindow.tokenFloats(state.site))
  }

  override var bytes: Int { queries.count * 4 }

  override func begin(tokens: Int, first: Int64) {
    forEachToken(of: tokens, first: first) { window, copy, position in window.copyQueries(at: position, to: copy) }
  }

  override func undo(tokens: Int, first: Int64) {
    forEachToken(of: tokens, first: first) { window, copy, position in window.setQueries(at: position, from: copy) }
  }

  /// Calls `body` with the tokens of a step whose queries take places in the ring of voters.
  private func forEachToken(
    of tokens: Int, first: Int64,
    _ body: (_ window: ObservationWindow, _ copy: UnsafeMutablePointer<Float>, _ position: Int64) -> Void
  ) {
    guard let window = state.observation else { return }
    for token in max(0, tokens - window.size)..<tokens {
      let position = first + Int64(token)
      let copy = queries.pointer + Int(position % Int64(depth)) * ObservationWindow.tokenFloats(state.site)
      body(window, copy, position)
    }
  }
}

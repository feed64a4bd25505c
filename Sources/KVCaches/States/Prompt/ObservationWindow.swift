import Kernels

/// The queries of the newest tokens of a sequence, which vote when its prompt ends.
///
/// Kept from chunk to chunk, as they came from the model: the vote then does not depend on where chunks ended. Where several
/// layers read the same keys, the queries of all of them vote on these.
final class ObservationWindow {
  /// The most tokens that vote.
  let size: Int
  private let site: StateSite
  /// The first ring of each head, one for each layer that reads its keys, and (last) how many there are, `[place]`.
  private let firstRings: [Int]
  /// Without positions, `[ring, place in the stream modulo size, query head of the group, headDim]`.
  private let queries: Buffer<Float>
  /// Learned sink logits as the last step had them, -infinity where there are none, `[ring, query head of the group]`.
  private let sinks: Buffer<Float>

  init(size: Int, _ site: StateSite) {
    (self.size, self.site) = (size, site)
    firstRings = site.heads.layers.reduce(into: [0]) { rings, layer in
      for _ in layer.places { rings.append(rings[rings.count - 1] + layer.readers) }
    }
    let count = Self.ringCount(site)
    queries = Buffer(count: count * size * site.groupWidth)
    sinks = Buffer(count: count * site.groupSize)
    sinks.elements.update(repeating: -.infinity)
  }

  private static func ringCount(_ site: StateSite) -> Int {
    site.heads.layers.reduce(0) { $0 + $1.places.count * $1.readers }
  }

  static func bytes(size: Int, _ site: StateSite) -> Int {
    size == 0 ? 0 : ringCount(site) * (size * site.groupWidth + site.groupSize) * 4
  }

  var bytes: Int { (queries.count + sinks.count) * 4 }

  /// The ring of a head's keys and of one of the layers that read them; the first is the layer that has them.
  func ring(place: Int, reader: Int) -> Int { firstRings[place] + reader }

  /// The rings of a head's keys.
  func rings(place: Int) -> Range<Int> { firstRings[place]..<firstRings[place + 1] }

  /// The queries of the token at a place in the stream, `[query head of the group, headDim]`.
  func queries(ring: Int, position: Int64) -> UnsafeMutablePointer<Float> {
    queries.pointer + (ring * size + Int(position % Int64(size))) * site.groupWidth
  }

  /// Learned sink logits, `[query head of the group]`.
  func sinkLogits(ring: Int) -> UnsafeMutablePointer<Float> { sinks.pointer + ring * site.groupSize }

  /// Floats of what is kept of one token.
  static func tokenFloats(_ site: StateSite) -> Int { ringCount(site) * site.groupWidth }

  /// Copies what is kept at the place of a token, `[ring, query head of the group, headDim]`.
  func copyQueries(at position: Int64, to target: UnsafeMutablePointer<Float>) {
    for ring in 0..<firstRings[site.count] {
      (target + ring * site.groupWidth).update(from: queries(ring: ring, position: position), count: site.groupWidth)
    }
  }

  /// Takes up again what was kept at the place of a token, as `copyQueries` gave it.
  func setQueries(at position: Int64, from source: UnsafePointer<Float>) {
    for ring in 0..<firstRings[site.count] {
      queries(ring: ring, position: position).update(from: source + ring * site.groupWidth, count: site.groupWidth)
    }
  }

  /// Forgets everything.
  func reset() {
    queries.elements.update(repeating: 0)
    sinks.elements.update(repeating: -.infinity)
  }

  /// Takes over what another window keeps, of the heads from place `first` on.
  func copy(_ other: ObservationWindow, to first: Int) {
    let ring = firstRings[first]
    (queries.pointer + ring * size * site.groupWidth).update(from: other.queries.pointer, count: other.queries.count)
    sinkLogits(ring: ring).update(from: other.sinks.pointer, count: other.sinks.count)
  }

  /// Calls `body` with all that is kept of some heads of a sequence of so many tokens.
  func forEachUsedRange(_ places: Range<Int>, tokens: Int64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let used = Int(min(tokens, Int64(size)))
    for ring in firstRings[places.lowerBound]..<firstRings[places.upperBound] {
      body(
        UnsafeMutableRawBufferPointer(
          start: queries.pointer + ring * size * site.groupWidth, count: used * site.groupWidth * 4))
      body(UnsafeMutableRawBufferPointer(start: sinkLogits(ring: ring), count: site.groupSize * 4))
    }
  }
}

/// The queries that the newest steps overwrote.
final class ObservationUndo: StateUndo {
  private let state: PromptState
  private let depth: Int
  /// A ring, `[token, ring of the window, query head of the group, headDim]`.
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

  /// Of a longer step the queries that its own tokens pushed out are not known.
  override func splits(tokens: Int) -> Bool { tokens <= state.prompt.voters }

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

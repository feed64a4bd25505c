import CLibrary
import Kernels

extension Compressive: StateSpecification {
  // The memory is not a sum over the slots of a sequence under the delta rule, and one process holds it.
  var partitions: Partitions { [.byHead, .byRequest] }

  var usesGates: Bool { true }

  func problem(with stages: [any StageSpecification]) -> String? {
    guard stages.dropLast().last?.blueprint.letsGoTogether == true else {
      return "'\(self)' needs a segment in front of it, which falls as a whole"
    }
    return nil
  }

  func problem(for attention: AttentionLayer) -> String? {
    guard attention.gates == nil, gate == nil else { return nil }
    return "this model has no gates for a compressive memory, so it cannot read one"
  }

  func bytes(_ site: StateSite, tokens: Int) -> Int { site.count * CompressiveState.headBytes(site.headDim) }
  func makeState(_ site: StateSite) -> StageState { CompressiveState(self, site) }
}

/// The memories of a group's heads, and what the segment under way will add to them.
///
/// A token is taken in when it comes, from its key and value as they came, not from slots: what a segment adds does not
/// depend on how slots round. It counts from the next segment on.
final class CompressiveState: StageState {
  let specification: Compressive
  /// For each head M `[headDim, headDim]`, z `[headDim]`, then the same of the segment under way; `[place]`.
  let numbers: Buffer<Float>
  /// Segments in M and z, `[place]`.
  let folded: Buffer<Int64>
  private weak var undo: CompressiveUndo?

  init(_ specification: Compressive, _ site: StateSite) {
    self.specification = specification
    numbers = Buffer(count: site.count * Self.headFloats(site.headDim))
    folded = Buffer(count: site.count)
    super.init(site)
  }

  var headFloats: Int { Self.headFloats(site.headDim) }

  private static func headFloats(_ dim: Int) -> Int { 2 * (dim + 1) * dim }

  static func headBytes(_ dim: Int) -> Int { headFloats(dim) * 4 + 8 }

  override var name: String { "compressive" }
  override var bytes: Int { numbers.count * 4 + folded.count * 8 }
  override func reset() {
    numbers.elements.update(repeating: 0)
    folded.elements.update(repeating: 0)
  }

  override func makeUndo(depth: Int) -> StateUndo? {
    let undo = CompressiveUndo(self)
    self.undo = undo
    return undo
  }

  /// What notes the tokens of the step under way, nil where nothing does.
  var noting: CompressiveUndo? { undo.flatMap { $0.isRecording ? $0 : nil } }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? CompressiveReplay else { return CompressiveReplay() }
    return old
  }

  /// M of a head, `[headDim of keys, headDim of values]`.
  func memory(place: Int) -> UnsafeMutablePointer<Float> { numbers.pointer + place * Self.headFloats(site.headDim) }

  /// z of a head, `[headDim]`.
  func normalizer(place: Int) -> UnsafeMutablePointer<Float> { memory(place: place) + site.headDim * site.headDim }

  /// What the segment under way adds to M.
  func memoryOfSegment(place: Int) -> UnsafeMutablePointer<Float> { normalizer(place: place) + site.headDim }

  /// What the segment under way adds to z.
  func normalizerOfSegment(place: Int) -> UnsafeMutablePointer<Float> {
    memoryOfSegment(place: place) + site.headDim * site.headDim
  }

  /// Takes what the last segment adds into the memory of a head, where that has not been done.
  ///
  /// What rounding leaves out is where the next segment begins (Kahan's sum, at no byte more): else the sums of positive
  /// numbers in z would drift over millions of segments.
  func fold(place: Int, segments: Int64) {
    guard folded.pointer[place] < segments else { return }
    folded.pointer[place] = segments
    let (memory, addend) = (memory(place: place), memoryOfSegment(place: place))
    for index in 0..<(site.headDim + 1) * site.headDim {
      let sum = memory[index] + addend[index]
      addend[index] -= sum - memory[index]
      memory[index] = sum
    }
  }

  /// Adds a token to what the segment under way will add, the last one being folded in.
  ///
  /// - Parameter scratch: 2 × `headDim` floats
  func takeIn(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    let dim = site.headDim
    let (features, answer) = (scratch, scratch + dim)
    let sum = normalizerOfSegment(place: place)
    Self.features(of: key, count: dim, into: features)
    for index in 0..<dim { sum[index] += features[index] }
    var value = value
    if specification.update == .delta, folded.pointer[place] > 0 {
      kernels.sumRows(
        of: memory(place: place), count: dim, columns: dim, weights: features, weightStride: dim, sums: 1, out: answer,
        outStride: dim)
      let divisor = divisor(features, place: place)
      for index in 0..<dim { answer[index] = value[index] - answer[index] / divisor }
      value = UnsafePointer(answer)
    }
    kernels.add(value, times: features, toRowsOf: memoryOfSegment(place: place), count: dim, columns: dim)
  }

  /// σ(x)z of a head, and not less than the smallest divisor.
  func divisor(_ features: UnsafePointer<Float>, place: Int) -> Float {
    let normalizer = normalizer(place: place)
    var sum: Float = 0
    for index in 0..<site.headDim { sum += features[index] * normalizer[index] }
    return max(sum, Float(Compressive.smallestDivisor))
  }

  /// σ(x) = ELU(x) + 1.
  static func features(of vector: UnsafePointer<Float>, count: Int, into features: UnsafeMutablePointer<Float>) {
    for index in 0..<count { features[index] = vector[index] > 0 ? vector[index] + 1 : exp(vector[index]) }
  }

  override func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {
    for place in places {
      writer.write(folded.pointer[place])
      writer.write(memory(place: place), count: Self.headFloats(site.headDim))
    }
  }

  override func read(
    _ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader
  ) throws(KVCacheError) {
    guard let stage = group.ledger.stages.last as? CompressiveStage else { return }
    for place in places {
      folded.pointer[place] = try reader.read()
      guard folded.pointer[place] == stage.segments else { throw .badSnapshot("a memory of other segments") }
      let count = Self.headFloats(site.headDim)
      try reader.read(into: memory(place: place), count: count)
      guard UnsafeBufferPointer(start: memory(place: place), count: count).allSatisfy(\.isFinite) else {
        throw .badSnapshot("a memory that is not a number")
      }
    }
  }
}

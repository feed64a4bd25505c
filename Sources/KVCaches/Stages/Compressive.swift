/// A memory of constant size for all finished segments: a matrix for each KV head, read by linear attention and mixed in by
/// gates that the model has learned.
///
/// Source: arXiv 2404.07143, sections 2.1.2 and 2.1.3. With σ(x) = ELU(x) + 1 a finished segment adds σ(K)ᵀV to M and the sum
/// of σ(k) to z; a query reads σ(q)M / σ(q)z, without positions; a head mixes that with its local attention by the sigmoid of
/// its gate. Deviations and what the paper leaves open: one memory a KV head, read by all query heads of its group; M and
/// z are float32; the divisor is at least 1e-6; what is read of an empty memory is said by `firstSegment`.
///
/// A model that was not trained with it can only read noise, so one without gates is refused, unless a gate is given.
public struct Compressive: StageSpecification, Hashable {
  /// What a finished segment adds.
  public enum Update: String, Sendable, Hashable, CaseIterable {
    /// The values.
    case linear
    /// What the values differ by from what the memory answers already, as it was before the segment.
    case delta
  }

  /// What a gate does while no segment is finished.
  public enum FirstSegment: String, Sendable, Hashable, CaseIterable {
    /// Nothing: attention is local.
    case bypass
    /// Attention is scaled by 1 - g, as if the memory answered zero.
    case scaled
  }

  public let update: Update
  public let firstSegment: FirstSegment
  /// A gate for all heads, before the sigmoid, in place of the model's; nil for the model's.
  public let gate: Float?

  public init(update: Update = .linear, firstSegment: FirstSegment = .bypass, gate: Float? = nil) {
    self.update = update
    self.firstSegment = firstSegment
    self.gate = gate
  }

  /// What σ(q)z is at least.
  package static let smallestDivisor = 1e-6

  public var capacity: Int? { 0 }

  public var blueprint: StageBlueprint {
    var blueprint = StageBlueprint { CompressiveStage() }
    blueprint.evictsInOrder = false
    blueprint.absorbs = true
    blueprint.states = [self]
    return blueprint
  }

  public var description: String {
    var options: [String] = []
    if update != .linear { options.append("update=\(update.rawValue)") }
    if firstSegment != .bypass { options.append("first=\(firstSegment.rawValue)") }
    if let gate { options.append("gate=\(gate)") }
    return "compressive" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  static let options = ["update", "first", "gate"]

  static let registration = StageRegistration(name: "compressive", form: "compressive", options: options) {
    parameters throws(KVCacheError) in
    try parameters.none()
    return try Compressive(parameters)
  }

  init(_ parameters: StageParameters, default standard: Compressive = Compressive()) throws(KVCacheError) {
    var gate = standard.gate
    if let text = parameters.options["gate"] {
      guard let number = Float(text), !number.isNaN else {
        throw parameters.fail("gate must be a number, but is '\(text)'")
      }
      gate = number
    }
    self.init(
      update: try parameters.choice("update", of: Update.allCases, default: standard.update),
      firstSegment: try parameters.choice("first", of: FirstSegment.allCases, default: standard.firstSegment),
      gate: gate)
  }
}

/// The bookkeeping of a compressive memory: how many segments it holds.
struct CompressiveStage: Stage {
  private(set) var segments: Int64 = 0

  var capacity: Int? { 0 }
  var count: Int { 0 }
  var usedSlots: Int { 0 }

  mutating func open(arriving: Int) -> Int {
    if arriving > 0 { segments += 1 }
    return 0
  }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    assertionFailure("segments fall as a whole")
    return .pass
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    guard segments > 0 else { return }
    step.readState(stage: context.stage, clock: StepPlan.QueryClock(first: context.streamPosition))
  }

  func clock(ofSlot slot: Int) -> Int64 { preconditionFailure("a compressive memory has no slots") }

  var counters: [Int64] { [segments] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 1, (0..<Int64.max / 2).contains(counters[0]) else {
      throw .badSnapshot("impossible count of segments")
    }
    segments = counters[0]
  }
}

/// How a stage is written in a cache specification.
struct StageRegistration: Sendable {
  let name: String
  /// The written form, for messages and help.
  let form: String
  /// The options the stage knows in brackets.
  let options: [String]
  let make: @Sendable (StageParameters) throws(KVCacheError) -> any StageSpecification

  init(
    name: String, form: String, options: [String],
    make: @escaping @Sendable (StageParameters) throws(KVCacheError) -> any StageSpecification
  ) {
    self.name = name
    self.form = form
    self.options = options
    self.make = make
  }
}

/// All stages that can be written in a cache specification.
enum StageRegistry {
  static let all: [StageRegistration] = [
    Tokens.registration,
    Sinks.registration,
    Window.registration,
    Scored.registration,
    Prompt.registration,
    Pages.registration,
    Clusters.registration,
    Uniform.registration,
    Moments.registration,
    Segment.registration,
    Compressive.registration,
  ]

  static func named(_ name: Substring) -> StageRegistration? { all.first { $0.name == name } }
}

/// The part of a stage or preset after its name: `1020` of `window:1020`, with options `[name=value,…]`.
struct StageParameters: Sendable {
  /// The largest count a specification may ask for; beyond it no machine could hold the cache.
  static let largestCount = 1 << 28

  /// The whole text, for messages.
  let text: String
  /// What stands between the colon and the bracket, nil without a colon.
  let argument: Substring?
  let options: [String: Substring]
  /// What the model declares that the plan is for.
  var trained = TrainedMemory()

  func fail(_ reason: String) -> KVCacheError { .badSpecification(text, reason) }

  func none() throws(KVCacheError) {
    if let argument { throw fail("takes no number, but has '\(argument)'") }
  }

  /// The argument as one positive count, for example `example`.
  func count(_ what: String, maximum: Int, example: Int) throws(KVCacheError) -> Int {
    guard let argument, !argument.isEmpty else {
      throw fail("needs a \(what), for example '\(text.prefix { !":[".contains($0) }):\(example)'")
    }
    return try number(argument, what, in: 1...maximum)
  }

  func number(_ digits: Substring, _ what: String, in range: ClosedRange<Int>) throws(KVCacheError) -> Int {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw fail("\(what) must be a number, but is '\(digits)'")
    }
    guard let value = Int(digits), range.contains(value) else {
      throw fail("\(what) must be from \(range.lowerBound) to \(range.upperBound), but is \(digits)")
    }
    return value
  }
}

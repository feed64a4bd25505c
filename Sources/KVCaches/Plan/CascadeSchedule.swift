/// How the periods of a cascade grow from level to level.
enum CascadeSchedule: String, CaseIterable {
  /// 1, 2, 4, 8…
  case pow2
  /// 1, 3, 9, 27…
  case pow3
  /// 1, 4, 16, 64…
  case pow4
  /// 1, 2, 3, 4…
  case linear
  /// 1, then 2 for all.
  case twos
  /// The first quarter of the levels is one dense window; then as pow2.
  case quarter
  /// The first half of the levels is one dense window; then as pow2.
  case half
  /// The first three quarters of the levels are one dense window; then as pow2.
  case threeQuarters = "three-quarters"
  /// All levels but the last are one dense window.
  case last

  init(_ parameters: StageParameters) throws(KVCacheError) {
    let text = parameters.options["schedule"] ?? "pow2"
    guard let schedule = Self(rawValue: String(text)) else {
      let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
      throw parameters.fail("unknown schedule '\(text)'; known are \(known)")
    }
    self = schedule
  }

  /// The period of a level, never above the largest that a specification can write.
  func period(level: Int, of levels: Int) -> Int {
    switch self {
    case .pow2: power(2, level)
    case .pow3: power(3, level)
    case .pow4: power(4, level)
    case .linear: level + 1
    case .twos: level == 0 ? 1 : 2
    case .quarter: level < levels / 4 ? 1 : power(2, level)
    case .half: level < levels / 2 ? 1 : power(2, level)
    case .threeQuarters: level < levels * 3 / 4 ? 1 : power(2, level)
    case .last: level < levels - 1 ? 1 : power(2, level)
    }
  }

  private func power(_ base: Int, _ exponent: Int) -> Int {
    var result = 1
    for _ in 0..<exponent { result = min(result * base, StageParameters.largestCount) }
    return result
  }
}

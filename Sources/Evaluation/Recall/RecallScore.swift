/// How right the answers of some cases are.
package struct RecallScore: Sendable, Hashable {
  package private(set) var cases = 0
  package private(set) var exactMatches = 0
  private var digitShares = 0.0

  package init() {}

  /// The share of cases whose first number is the expected one.
  package var exactMatch: Double { Double(exactMatches) / Double(max(cases, 1)) }

  /// Where the share of exact answers lies with a certainty of 95 %.
  package var interval: WilsonInterval { WilsonInterval(successes: exactMatches, of: cases) }

  /// The mean over the cases of `digitShare`.
  package var digitAccuracy: Double { digitShares / Double(max(cases, 1)) }

  package mutating func add(exact: Bool, digitShare: Double) {
    cases += 1
    exactMatches += exact ? 1 : 0
    digitShares += digitShare
  }

  /// Counts an answer by its first number; nil is an answer without one.
  package mutating func add(answer: String?, expected: String) {
    add(answer: answer, digits: answer, expected: expected)
  }

  /// Counts an answer by its first number and, digit by digit, by other digits of it; nil is an answer without any.
  package mutating func add(answer: String?, digits: String?, expected: String) {
    add(
      exact: answer.map { Self.significant($0) == Self.significant(expected) } ?? false,
      digitShare: Self.digitShare(of: digits, expected: expected))
  }

  package mutating func add(_ other: RecallScore) {
    cases += other.cases
    exactMatches += other.exactMatches
    digitShares += other.digitShares
  }

  /// The share of the expected digits that stand at the same place of the answer, counted from the first digit.
  ///
  /// Leading zeros count on neither side. Digits beyond the expected ones change nothing here, but are no exact match.
  package static func digitShare(of answer: String?, expected: String) -> Double {
    let expected = significant(expected)
    let right = zip(expected, significant(answer ?? "")).count { $0 == $1 }
    return expected.isEmpty ? 0 : Double(right) / Double(expected.count)
  }

  /// The digits without leading zeros, of which a number of zeros keeps one.
  private static func significant(_ digits: String) -> Substring {
    let rest = digits.drop { $0 == "0" }
    return rest.isEmpty ? digits.suffix(1) : rest
  }
}

/// What a recall evaluation says of one cache.
package struct RecallResult: Sendable {
  package var cache: String
  package private(set) var score = RecallScore()
  package private(set) var scores: [RecallGrid.Point: RecallScore] = [:]
  /// The most bytes of keys and values that were held at once.
  package var cacheBytesPeak = 0

  package init(cache: String) { self.cache = cache }

  mutating func add(_ part: RecallScore, at point: RecallGrid.Point?) {
    score.add(part)
    if let point { scores[point, default: RecallScore()].add(part) }
  }
}

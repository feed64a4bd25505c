import Evaluation
import Testing

@Suite struct RecallScoreTests {
  @Test(arguments: [
    ("48213", "48213"), (" 48213. Remember it.", "48213"), ("no number", nil), ("", nil), ("The 7 of 48213", "7"),
    ("48,213", "48"), ("-5", "5"), ("4 8213", "4"), ("007", "007"), ("x12y34", "12"), ("٣٤ 5", "5"),
    ("<48213>", "48213"),
  ])
  func `the first run of digits is the number`(text: String, number: String?) {
    #expect(FirstNumber(in: text).digits == number)
    var pieces = FirstNumber()
    for character in text { pieces.append(String(character)) }
    #expect(pieces == FirstNumber(in: text))
  }

  @Test func `a number is complete where something else follows`() {
    var number = FirstNumber()
    for (text, isComplete) in [("is", false), (" 4", false), ("82", false), ("", false), (">", true), ("13", true)] {
      number.append(text)
      #expect(number.isComplete == isComplete, "\(text)")
    }
    #expect(number.digits == "482")
  }

  @Test(arguments: [
    ("48213", "48213"), ("4 8, 21-3.", "48213"), ("4821399", "48213"), ("no digit", nil), ("a 7 and ٣", "7"),
    ("1\n2", "12"),
  ])
  func `first digits count whatever is between them`(text: String, digits: String?) {
    var whole = FirstDigits(5)
    whole.append(text)
    var pieces = FirstDigits(5)
    for character in text { pieces.append(String(character)) }
    #expect(whole.digits == digits && pieces == whole)
    #expect(whole.isComplete == (digits?.count == 5))
  }

  @Test func `digits count beside the number`() {
    var score = RecallScore()
    score.add(answer: "48", digits: "48213", expected: "48213")
    #expect(score.exactMatch == 0 && score.digitAccuracy == 1)
  }

  @Test(
    arguments: [
      ("48213", "48213", true, 1.0), ("48213", "48219", false, 0.8), ("48213", "58213", false, 0.8),
      ("48213", "8213", false, 0.0), ("48213", "4821", false, 0.8), ("48213", "482130", false, 1.0),
      ("48213", "31284", false, 0.2), ("48213", "4", false, 0.2), ("48213", "11111", false, 0.2),
      ("48213", nil, false, 0.0), ("986", "986", true, 1.0), ("986", "0986", true, 1.0), ("986", "9860", false, 1.0),
      ("7", "8", false, 0.0), ("0", "0", true, 1.0), ("0", "000", true, 1.0), ("0", "5", false, 0.0),
      ("10", "01", false, 0.5),
    ] as [(String, String?, Bool, Double)])
  func `digits count in their places`(expected: String, answer: String?, exact: Bool, share: Double) {
    var score = RecallScore()
    score.add(answer: answer, expected: expected)
    #expect(score.exactMatches == (exact ? 1 : 0))
    #expect(score.digitAccuracy == share)
  }

  @Test func `shares are means over the cases`() {
    var score = RecallScore()
    #expect(score.exactMatch == 0 && score.digitAccuracy == 0 && score.cases == 0)
    score.add(answer: "12", expected: "12")
    score.add(answer: "19", expected: "12")
    var other = RecallScore()
    other.add(answer: nil, expected: "12345")
    other.add(exact: false, digitShare: 0.5)
    score.add(other)
    #expect(score.cases == 4 && score.exactMatch == 0.25 && score.digitAccuracy == 0.5)
  }
}

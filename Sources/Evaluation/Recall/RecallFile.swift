import ModelJSON
package import Tokenizers

extension RecallCases {
  /// Reads cases from JSON lines: `{"prompt": "...", "expected_number": 48213}`, and a "depth" from 0 to 1 if it is known;
  /// other members mean nothing here, and blank lines are skipped.
  ///
  /// - Parameters:
  ///   - bytes: the file
  ///   - path: for messages
  ///   - grid: the cells that cases with a depth count for, each for the nearest
  /// - Throws: `RecallError` with the line where one is no case, or where there is none at all.
  package init(
    parsing bytes: [UInt8], path: String, tokenizer: Tokenizer, grid: RecallGrid? = nil
  ) throws(RecallError) {
    var cases: [RecallCase] = []
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where !line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) {
      cases.append(try Self.parse(Array(line), path, index + 1, tokenizer, grid))
    }
    guard !cases.isEmpty else { throw .noCases(path) }
    self.init(cases, grid: grid)
  }

  private static func parse(
    _ line: [UInt8], _ path: String, _ number: Int, _ tokenizer: Tokenizer, _ grid: RecallGrid?
  ) throws(RecallError) -> RecallCase {
    func failure(_ reason: String) -> RecallError { .badLine(path, number, reason) }
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: line)
    } catch {
      throw failure("not JSON: column \(error.column): \(error.reason)")
    }
    guard value.object != nil else { throw failure("a case must be an object, but is \(value.kind)") }
    guard let text = value["prompt"] else { throw failure("there is no \"prompt\"") }
    guard let prompt = text.string else { throw failure("\"prompt\" must be a string, but is \(text.kind)") }
    guard let sought = value["expected_number"] else { throw failure("there is no \"expected_number\"") }
    guard let expected = sought.integer, expected >= 0 else {
      throw failure("\"expected_number\" must be a whole number of at least 0, but is \(sought.text.prefix(40))")
    }
    let tokens = tokenizer.encodePrompt(prompt)
    guard !tokens.isEmpty else { throw failure("the prompt is empty") }
    var point: RecallGrid.Point?
    if let depth = value["depth"], !depth.isNull {
      guard let share = depth.double, (0...1).contains(share) else {
        throw failure("\"depth\" must be from 0 to 1, but is \(depth.text.prefix(40))")
      }
      point = grid?.nearest(length: tokens.count, depth: share)
    }
    return RecallCase(
      prompt: tokens, expected: String(expected), point: point, origin: "\(path), line \(number): the prompt")
  }
}

import ModelJSON
import Testing

@testable import Constraints

extension TokenTrie {
  /// A vocabulary of the 256 bytes, and one token that ends a text.
  static let ofBytes = TokenTrie(vocabularySize: 257, ends: [256]) { $0 < 256 ? [UInt8($0)] : nil }
}

extension ConstraintMatcher {
  init(_ constraint: Constraint) { self.init(ConstraintTable(constraint, .ofBytes)) }

  mutating func take(_ bytes: [UInt8], _ place: SourceLocation = #_sourceLocation) {
    let isTaken = accept(bytes)
    #expect(isTaken, "refused: \(String(decoding: bytes, as: UTF8.self))", sourceLocation: place)
  }

  mutating func take(_ token: Int32, _ place: SourceLocation = #_sourceLocation) {
    let isTaken = accept(token)
    #expect(isTaken, "refused: \(token)", sourceLocation: place)
  }

  mutating func refuse(_ bytes: [UInt8], _ place: SourceLocation = #_sourceLocation) {
    let isTaken = accept(bytes)
    #expect(!isTaken, "taken: \(String(decoding: bytes, as: UTF8.self))", sourceLocation: place)
  }

  mutating func refuse(_ token: Int32, _ place: SourceLocation = #_sourceLocation) {
    let isTaken = accept(token)
    #expect(!isTaken, "taken: \(token)", sourceLocation: place)
  }
}

extension Constraint {
  /// Whether a text is one of the constraint's, all of it.
  func accepts(_ text: String) -> Bool {
    var matcher = ConstraintMatcher(self)
    return matcher.accept(Array(text.utf8)) && matcher.canEnd
  }
}

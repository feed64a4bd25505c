import ModelJSON

@testable import Constraints

extension TokenTrie {
  /// A vocabulary of the 256 bytes, and one token that ends a text.
  static let ofBytes = TokenTrie(vocabularySize: 257, ends: [256]) { $0 < 256 ? [UInt8($0)] : nil }
}

extension ConstraintMatcher {
  init(_ constraint: Constraint) { self.init(ConstraintTable(constraint, .ofBytes)) }
}

extension Constraint {
  /// Whether a text is one of the constraint's, all of it.
  func accepts(_ text: String) -> Bool {
    var matcher = ConstraintMatcher(self)
    return matcher.accept(Array(text.utf8)) && matcher.canEnd
  }
}

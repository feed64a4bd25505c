package import Tokenizers

/// The control tokens that are written out, since a reader of an answer needs them; all others never show in text.
package enum ShownControls: Sendable, Hashable {
  case none
  case only(Set<Int32>)
  case all

  /// Those of some spellings.
  package init(_ spellings: [String], of tokenizer: Tokenizer) {
    let known = spellings.compactMap(tokenizer.id(ofSpecial:))
    self = known.isEmpty ? .none : .only(Set(known))
  }

  package var tokens: Set<Int32> { if case .only(let tokens) = self { tokens } else { [] } }
}

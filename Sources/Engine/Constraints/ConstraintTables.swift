package import Constraints
import Synchronization
package import Tokenizers

/// A tokenizer's vocabulary as constraints need it, made when first asked for (about a tenth of a second for 128,000 tokens).
package final class ConstraintVocabulary: Sendable {
  private let tokenizer: Tokenizer
  private let made = Mutex<TokenTrie?>(nil)

  package init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  package var trie: TokenTrie {
    made.withLock { made in
      if let made { return made }
      let trie = TokenTrie(tokenizer)
      made = trie
      return trie
    }
  }
}

extension TokenTrie {
  /// The tokens of text; special ones are left out.
  package convenience init(_ tokenizer: Tokenizer) {
    self.init(vocabularySize: tokenizer.vocabularySize, ends: tokenizer.endOfGeneration) {
      tokenizer.isSpecial($0) ? nil : tokenizer.piece($0)
    }
  }
}

/// The tables of constraints that a model's answers follow, the ones used last; for the model's thread.
package final class ConstraintTables {
  package let vocabulary: ConstraintVocabulary
  /// The one used last at the end.
  private var tables: [ConstraintTable] = []

  /// Constraints whose tables are kept.
  package var count: Int { tables.count }

  private static let limit = 16
  private static let byteLimit = 128 << 20

  package init(_ vocabulary: ConstraintVocabulary) { self.vocabulary = vocabulary }

  /// Begins a text under a constraint.
  package func matcher(of constraint: Constraint) -> ConstraintMatcher {
    let table: ConstraintTable
    if let index = tables.firstIndex(where: { $0.constraint == constraint && !$0.isFull }) {
      table = tables.remove(at: index)
    } else {
      table = ConstraintTable(constraint, vocabulary.trie)
    }
    tables.append(table)
    while tables.count > 1, tables.count > Self.limit || tables.reduce(0, { $0 + $1.bytes }) > Self.byteLimit {
      tables.removeFirst()
    }
    return ConstraintMatcher(table)
  }
}

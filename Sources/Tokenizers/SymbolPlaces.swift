/// The bytes of a prompt's text at which its symbols start: one entry a part of the text, since within one they are counted alike.
package struct SymbolPlaces: Sendable {
  /// Where parts start, ascending; the last one is the end.
  private var parts: [(symbol: Int, byte: Int)] = []

  /// Takes note of where the next part starts.
  mutating func note(symbol: Int, byte: Int) { parts.append((symbol, byte)) }

  /// Makes room for a symbol in front, which stands in no text.
  package mutating func insertFirst() {
    for index in parts.indices { parts[index].symbol += 1 }
    parts.insert((0, 0), at: 0)
  }

  /// The byte at which a symbol starts; for their number, the end of the text.
  package func byte(of symbol: Int) -> Int {
    var (low, high) = (0, parts.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if parts[middle].symbol <= symbol { low = middle } else { high = middle }
    }
    return parts[low].byte + symbol - parts[low].symbol
  }
}

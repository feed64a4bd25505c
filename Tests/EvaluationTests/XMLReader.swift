/// A strict reader of the XML that the plots use: enough to tell a well-formed file from a broken one.
///
/// Foundation's parser sits in a module of its own on Linux and would be the only use of libxml2 here.
final class XMLReader {
  private(set) var elements: [String: Int] = [:]

  /// Whether `text` is one element with nested elements, quoted attributes and only the predefined entities.
  func read(_ text: String) -> Bool {
    elements = [:]
    var open: [Substring] = []
    var rest = text[...]
    while let start = rest.firstIndex(of: "<") {
      guard Self.isPlain(rest[..<start]) else { return false }
      guard let end = rest[start...].firstIndex(of: ">") else { return false }
      var tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.hasPrefix("/") {
        guard open.popLast() == tag.dropFirst() else { return false }
        continue
      }
      let isEmpty = tag.hasSuffix("/")
      if isEmpty { tag = tag.dropLast() }
      let name = tag.prefix { !$0.isWhitespace }
      guard !name.isEmpty, Self.hasValidAttributes(tag.dropFirst(name.count)) else { return false }
      if open.isEmpty, !elements.isEmpty { return false }
      elements[String(name), default: 0] += 1
      if !isEmpty { open.append(name) }
    }
    return open.isEmpty && !elements.isEmpty && rest.allSatisfy(\.isWhitespace)
  }

  private static func isPlain(_ text: Substring) -> Bool {
    guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 || $0 == "\n" }), !text.contains(">") else { return false }
    let entities = text.split(separator: "&", omittingEmptySubsequences: false).dropFirst()
    return entities.allSatisfy { part in
      ["amp;", "lt;", "gt;", "quot;", "#39;"].contains { part.hasPrefix($0) }
    }
  }

  private static func hasValidAttributes(_ text: Substring) -> Bool {
    var names: Set<Substring> = []
    var rest = text.drop(while: \.isWhitespace)
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: "=") else { return false }
      guard names.insert(rest[..<equals]).inserted else { return false }
      rest = rest[rest.index(after: equals)...]
      guard rest.first == "\"", let close = rest.dropFirst().firstIndex(of: "\"") else { return false }
      guard isPlain(rest[rest.index(after: rest.startIndex)..<close]) else { return false }
      rest = rest[rest.index(after: close)...]
      guard rest.isEmpty || rest.first?.isWhitespace == true else { return false }
      rest = rest.drop(while: \.isWhitespace)
    }
    return true
  }
}

/// Cuts a template into tokens as Jinja2 does with `trim_blocks` and `lstrip_blocks`, which transformers sets: the line
/// break after a block goes, and so does the space before a block on its own line. Variables keep theirs. `-` at a tag
/// takes all space on its side, `+` keeps it. One line break at the end of the template goes.
struct TemplateLexer {
  /// Scalars with line breaks made into line feeds.
  let source: [UInt32]
  var position = 0
  var tokens: [TemplateToken] = []
  /// Closing brackets that are awaited; a tag ends only outside brackets.
  var brackets: [(close: TemplateToken.Mark, offset: Int)] = []
  /// Whether what was read last ended with a line break.
  private var atLineStart = true

  init(source: [UInt32]) { self.source = source }

  /// The scalars of a text as templates see them: one kind of line break, none at the end.
  static func normalized(_ text: String) -> [UInt32] {
    var units: [UInt32] = []
    var afterReturn = false
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x0d: units.append(0x0a)
      case 0x0a where afterReturn: break
      default: units.append(scalar.value)
      }
      afterReturn = scalar.value == 0x0d
    }
    if units.last == 0x0a { units.removeLast() }
    return units
  }

  static func tokens(of source: [UInt32]) throws(TemplateError) -> [TemplateToken] {
    var lexer = TemplateLexer(source: source)
    while lexer.position < source.count { try lexer.readData() }
    lexer.tokens.append(TemplateToken(kind: .end, offset: source.count))
    return lexer.tokens
  }

  func unit(_ offset: Int) -> UInt32 { offset < source.count ? source[offset] : 0 }

  func starts(with text: StaticString, at offset: Int) -> Bool {
    let length = text.utf8CodeUnitCount
    guard offset + length <= source.count else { return false }
    for index in 0..<length where source[offset + index] != UInt32(text.utf8Start[index]) { return false }
    return true
  }

  func failure(_ message: String, at offset: Int) -> TemplateError { TemplateError(.syntax, message, offset: offset) }

  /// Text up to the next tag, and that tag.
  private mutating func readData() throws(TemplateError) {
    let start = position
    var tag = start
    while tag < source.count, !isTagStart(tag) { tag += 1 }
    guard tag < source.count else {
      appendData(start..<tag)
      position = tag
      return
    }
    let sign = unit(tag + 2)
    let isVariable = unit(tag + 1) == UInt32(ascii: "{")
    appendData(start..<end(ofDataIn: start..<tag, sign: sign, isVariable: isVariable))
    let body = tag + 2 + (sign == UInt32(ascii: "-") || sign == UInt32(ascii: "+") ? 1 : 0)
    if unit(tag + 1) == UInt32(ascii: "#") { return try skipComment(from: body, opening: tag) }
    if !isVariable, let end = rawEnd(from: body) { return try readRaw(from: end, opening: tag) }
    position = body
    tokens.append(TemplateToken(kind: isVariable ? .variableBegin : .blockBegin, offset: tag))
    try readTag(opening: tag, isVariable: isVariable)
  }

  private func isTagStart(_ offset: Int) -> Bool {
    guard source[offset] == UInt32(ascii: "{") else { return false }
    let next = unit(offset + 1)
    return next == UInt32(ascii: "{") || next == UInt32(ascii: "%") || next == UInt32(ascii: "#")
  }

  private mutating func appendData(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    tokens.append(TemplateToken(kind: .data(MarkedText(units: Array(source[range]))), offset: range.lowerBound))
  }

  /// Where text before a tag ends after the tag has taken its space.
  private func end(ofDataIn range: Range<Int>, sign: UInt32, isVariable: Bool) -> Int {
    var end = range.upperBound
    if sign == UInt32(ascii: "-") {
      while end > range.lowerBound, PythonScalars.isSpace(source[end - 1]) { end -= 1 }
    } else if sign != UInt32(ascii: "+"), !isVariable {
      while end > range.lowerBound, source[end - 1] != 0x0a, PythonScalars.isSpace(source[end - 1]) { end -= 1 }
      let atStart = end > range.lowerBound ? source[end - 1] == 0x0a : atLineStart
      if !atStart { end = range.upperBound }
    }
    return end
  }

  private func afterSpace(_ offset: Int) -> Int {
    var offset = offset
    while offset < source.count, PythonScalars.isSpace(source[offset]) { offset += 1 }
    return offset
  }

  /// What follows `{%` where it opens a raw block, or nil.
  private func rawEnd(from body: Int) -> Int? {
    let word = afterSpace(body)
    guard starts(with: "raw", at: word) else { return nil }
    let end = afterSpace(word + 3)
    if starts(with: "-%}", at: end) { return afterSpace(end + 3) }
    return starts(with: "%}", at: end) ? end + 2 : nil
  }

  private mutating func readRaw(from start: Int, opening: Int) throws(TemplateError) {
    var tag = start
    atLineStart = source[start - 1] == 0x0a
    while tag < source.count {
      if starts(with: "{%", at: tag) {
        let sign = unit(tag + 2)
        let word = afterSpace(tag + 2 + (sign == UInt32(ascii: "-") || sign == UInt32(ascii: "+") ? 1 : 0))
        if starts(with: "endraw", at: word), let end = blockEnd(at: afterSpace(word + 6)) {
          appendData(start..<self.end(ofDataIn: start..<tag, sign: sign, isVariable: false))
          return finishTag(at: end)
        }
      }
      tag += 1
    }
    throw failure("the raw block has no end", at: opening)
  }

  /// What follows the end of a block at an offset, or nil where none stands there.
  private func blockEnd(at offset: Int) -> Int? {
    if starts(with: "-%}", at: offset) { return afterSpace(offset + 3) }
    if starts(with: "+%}", at: offset) { return offset + 3 }
    guard starts(with: "%}", at: offset) else { return nil }
    return offset + (unit(offset + 2) == 0x0a ? 3 : 2)
  }

  private mutating func skipComment(from start: Int, opening: Int) throws(TemplateError) {
    var offset = start
    while offset < source.count {
      if starts(with: "-#}", at: offset) { return finishTag(at: afterSpace(offset + 3)) }
      if starts(with: "+#}", at: offset) { return finishTag(at: offset + 3) }
      if starts(with: "#}", at: offset) { return finishTag(at: offset + (unit(offset + 2) == 0x0a ? 3 : 2)) }
      offset += 1
    }
    throw failure("the comment has no end", at: opening)
  }

  private mutating func finishTag(at offset: Int) {
    position = offset
    atLineStart = source[offset - 1] == 0x0a
  }

  /// Tokens up to the end of a variable or block.
  private mutating func readTag(opening: Int, isVariable: Bool) throws(TemplateError) {
    while true {
      position = afterSpace(position)
      guard position < source.count else { throw failure("the tag has no end", at: opening) }
      if brackets.isEmpty {
        if isVariable {
          let end =
            starts(with: "-}}", at: position)
            ? afterSpace(position + 3) : starts(with: "}}", at: position) ? position + 2 : nil
          if let end {
            tokens.append(TemplateToken(kind: .variableEnd, offset: position))
            return finishTag(at: end)
          }
        } else if let end = blockEnd(at: position) {
          tokens.append(TemplateToken(kind: .blockEnd, offset: position))
          return finishTag(at: end)
        }
      }
      try readToken()
    }
  }
}

extension UInt32 {
  init(ascii scalar: Unicode.Scalar) { self = scalar.value }
}

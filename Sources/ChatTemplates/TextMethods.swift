/// Methods of Python's `str` that templates may call.
enum TextMethod: String {
  case upper, lower, capitalize, title, swapcase, casefold
  case strip, lstrip, rstrip, removeprefix, removesuffix
  case startswith, endswith, find, rfind, index, rindex, count
  case split, rsplit, splitlines, partition, rpartition, join, replace
  case center, ljust, rjust, zfill, format
  case isalpha, isdigit, isalnum, isspace, isupper, islower, istitle, isnumeric, isdecimal, isascii, isidentifier
}

extension TemplateEvaluator {
  func call(
    _ method: TextMethod, of text: MarkedText, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    try step(text.count / 8)
    switch method {
    case .upper, .lower, .capitalize, .title, .swapcase, .casefold:
      _ = try bind(arguments, [], of: method.rawValue)
      try charge(text.count)
      return .text(Self.cased(text, method))
    case .strip, .lstrip, .rstrip:
      let characters = try bind(arguments, ["chars"], of: method.rawValue)[0] ?? .none
      return .text(try strip(text, characters, leading: method != .rstrip, trailing: method != .lstrip))
    case .removeprefix, .removesuffix:
      let part = try string(bind(arguments, ["part"], required: 1, of: method.rawValue)[0])
      try charge(text.count)
      if method == .removeprefix, text.hasPrefix(part) { return .text(text.slice(part.count..<text.count)) }
      if method == .removesuffix, text.hasSuffix(part) { return .text(text.slice(0..<text.count - part.count)) }
      return .text(text)
    case .startswith, .endswith, .find, .rfind, .index, .rindex, .count:
      return try search(method, in: text, arguments)
    case .split, .rsplit, .splitlines, .partition, .rpartition: return try pieces(method, of: text, arguments)
    case .join:
      let list = try bind(arguments, ["iterable"], required: 1, of: "join")[0] ?? .none
      return .text(try join(try elements(of: list), separator: text, convertsElements: false))
    case .replace:
      let values = try bind(arguments, ["old", "new", "count"], required: 2, of: "replace")
      return .text(
        try replace(
          text, try string(values[0]), with: try string(values[1]), limit: try integer(values[2], default: -1)))
    case .center, .ljust, .rjust, .zfill: return .text(try pad(text, method, arguments))
    case .format: return .text(try braceFormat(text, arguments))
    default:
      _ = try bind(arguments, [], of: method.rawValue)
      return .bool(Self.property(method, of: text))
    }
  }

  private static func cased(_ text: MarkedText, _ method: TextMethod) -> MarkedText {
    switch method {
    case .upper: text.uppercased
    case .capitalize: text.capitalized
    case .title: text.titled
    case .swapcase: text.caseSwapped
    default: text.lowercased
    }
  }

  private static func property(_ method: TextMethod, of text: MarkedText) -> Bool {
    switch method {
    case .isalpha: text.isAll(PythonScalars.isLetter)
    case .isdigit: text.isAll(PythonScalars.isDigit)
    case .isalnum: text.isAll(PythonScalars.isAlphanumeric)
    case .isspace: text.isAll(PythonScalars.isSpace)
    case .isnumeric: text.isAll(PythonScalars.isNumeric)
    case .isdecimal: text.isAll(PythonScalars.isDecimal)
    case .isupper: text.isUppercase
    case .islower: text.isLowercase
    case .istitle: text.isTitlecase
    case .isascii: text.scalars.allSatisfy { $0 < 0x80 }
    default:
      text.isAll { PythonScalars.isIdentifierPart($0 & MarkedText.scalarMask) }
        && PythonScalars.isIdentifierStart(text[0])
    }
  }

  /// Takes space, or given characters, from the ends.
  func strip(
    _ text: MarkedText, _ characters: TemplateValue, leading: Bool = true, trailing: Bool = true
  ) throws(TemplateError) -> MarkedText {
    try charge(text.count)
    if case .none = characters { return text.stripped(leading: leading, trailing: trailing) }
    return text.stripped(leading: leading, trailing: trailing, of: try string(characters))
  }

  private func search(
    _ method: TextMethod, in text: MarkedText, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    let values = try bind(arguments, ["sub", "start", "end"], required: 1, of: method.rawValue)
    let (range, isInside) = try window(values[1], values[2], of: text)
    if method == .startswith || method == .endswith {
      guard isInside else { return .bool(false) }
      let part = text.slice(range)
      var options: [TemplateValue] = [values[0] ?? .none]
      if case .sequence(let elements, .tuple) = options[0] { options = elements }
      for option in options {
        let option = try string(option)
        if method == .startswith ? part.hasPrefix(option) : part.hasSuffix(option) { return .bool(true) }
      }
      return .bool(false)
    }
    let part = try string(values[0])
    try step(text.count / 4)
    if method == .count { return .integer(isInside ? text.slice(range).occurrences(of: part).count : 0) }
    let isFromEnd = method == .rfind || method == .rindex
    let found =
      isInside ? (isFromEnd ? text.lastIndex(of: part, in: range) : text.firstIndex(of: part, in: range)) : nil
    guard found == nil, method == .index || method == .rindex else { return .integer(found ?? -1) }
    throw failure(.type, "substring not found")
  }

  /// The part between two bounds as Python takes them, and whether it lies in the text at all.
  private func window(
    _ start: TemplateValue?, _ end: TemplateValue?, of text: MarkedText
  ) throws(TemplateError) -> (Range<Int>, Bool) {
    let bound = { (value: TemplateValue?, fallback: Int) throws(TemplateError) -> Int in
      guard let value else { return fallback }
      if case .none = value { return fallback }
      return try self.integer(value, default: fallback)
    }
    let first = try bound(start, 0)
    let last = try bound(end, text.count)
    let clamp = { (bound: Int) in bound < 0 ? max(0, bound + text.count) : min(bound, text.count) }
    let isInside = first <= text.count && clamp(first) <= clamp(last)
    return (clamp(first)..<max(clamp(first), clamp(last)), isInside)
  }

  private func pieces(
    _ method: TextMethod, of text: MarkedText, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    try charge(text.count)
    let pieces: [MarkedText]
    switch method {
    case .splitlines:
      pieces = text.lines(keepingEnds: try bind(arguments, ["keepends"], of: "splitlines")[0]?.isTrue ?? false)
    case .partition, .rpartition:
      let separator = try string(bind(arguments, ["sep"], required: 1, of: method.rawValue)[0])
      guard !separator.isEmpty else { throw failure(.type, "empty separator") }
      let all = 0..<text.count
      let found =
        method == .partition
        ? text.firstIndex(of: separator, in: all) : text.lastIndex(of: separator, in: all)
      guard let found else {
        return .tuple((method == .partition ? [text, "", ""] : ["", "", text]).map { .text($0) })
      }
      let end = found + separator.count
      return .tuple([text.slice(0..<found), text.slice(found..<end), text.slice(end..<text.count)].map { .text($0) })
    default:
      let values = try bind(arguments, ["sep", "maxsplit"], of: method.rawValue)
      let limit = try integer(values[1], default: -1)
      let isFromEnd = method == .rsplit
      let separator = values[0] ?? .none
      if case .none = separator {
        pieces = isFromEnd ? text.wordsFromEnd(limit: limit) : text.words(limit: limit)
      } else {
        let separator = try string(separator)
        guard !separator.isEmpty else { throw failure(.type, "empty separator") }
        pieces =
          isFromEnd ? text.splitFromEnd(at: separator, limit: limit) : text.split(at: separator, limit: limit)
      }
    }
    try charge(8 * pieces.count)
    return .list(pieces.map { .text($0) })
  }

  /// Elements with a separator between them; `str.join` refuses what is no text, the filter writes it.
  func join(
    _ elements: [TemplateValue], separator: MarkedText, convertsElements: Bool
  ) throws(TemplateError) -> MarkedText {
    var units: [UInt32] = []
    for (index, element) in elements.enumerated() {
      var text: MarkedText
      if convertsElements {
        text = try self.text(of: element)
      } else if case .text(let given) = element {
        text = separator.isMarkup ? given.escaped : given
      } else {
        if case .undefined(let message) = element { throw failure(.undefined, message) }
        throw failure(.type, "sequence item \(index): expected str instance, \(element.typeName) found")
      }
      if index > 0 { text.units = separator.units + text.units }
      try charge(text.count)
      units += text.units
    }
    return MarkedText(units: units, isMarkup: separator.isMarkup && !convertsElements)
  }

  func replace(
    _ text: MarkedText, _ old: MarkedText, with new: MarkedText, limit: Int
  ) throws(TemplateError) -> MarkedText {
    try step(text.count / 4)
    try charge(2 * text.count)
    let places = text.occurrences(of: old, limit: limit)
    try charge(new.count, times: places.count)
    return text.replacing(old, at: places, with: text.isMarkup ? new.escaped : new)
  }

  private func pad(_ text: MarkedText, _ method: TextMethod, _ arguments: TemplateArguments) throws(TemplateError)
    -> MarkedText
  {
    let parameters = method == .zfill ? ["width"] : ["width", "fillchar"]
    let values = try bind(arguments, parameters, required: 1, of: method.rawValue)
    let width = try integer(values[0], default: 0)
    let fill = method == .zfill ? "0" : try string(values[1], default: " ")
    guard fill.count == 1 else { throw failure(.type, "the fill character must be exactly one character long") }
    return try pad(text, to: width, with: fill.units[0], method)
  }

  func pad(_ text: MarkedText, to width: Int, with fill: UInt32, _ method: TextMethod) throws(TemplateError)
    -> MarkedText
  {
    guard width > text.count else { return text }
    try charge(width)
    let missing = width - text.count
    // As CPython rounds: the odd one goes left where the width is odd.
    let left =
      switch method {
      case .ljust: 0
      case .center: missing / 2 + (missing & width & 1)
      default: missing
      }
    var sign = 0
    if method == .zfill, let first = text.units.first, [0x2b, 0x2d].contains(first & MarkedText.scalarMask) {
      sign = 1
    }
    let padding = { (count: Int) in [UInt32](repeating: fill, count: count) }
    return MarkedText(
      units: Array(text.units[..<sign]) + padding(left) + text.units[sign...] + padding(missing - left),
      isMarkup: text.isMarkup)
  }
}

import ModelJSON

/// Where a call has said whom it calls and its arguments begin, so that they can be handed over while they are written.
struct CallOpening: Equatable {
  let name: String
  /// The place of the arguments' first byte.
  let arguments: Int
}

extension CallSyntax {
  /// How far the beginning of a call has come.
  enum Beginning: Equatable {
    /// More text is needed.
    case more
    case open(CallOpening)
    /// It can only be read whole: arguments are no JSON or stand in front of the name, or nobody knows the tool.
    case whole
  }

  /// The beginning of one of the calls of a text that begins with a mark, or is bare.
  ///
  /// What is said of a text is said of every longer one too.
  ///
  /// - Parameter index: the number of the call among those of the text
  func beginning(_ bytes: ArraySlice<UInt8>, of index: Int, _ tools: ToolSignatures) -> Beginning {
    var scanner = CallScanner(bytes, isLast: false)
    do throws(CallScanner.Stop) {
      let opening: CallOpening? =
        switch self {
        case .json(let syntax): try syntax.opening(&scanner, of: index)
        case .bare: try BareCalls.opening(&scanner, of: index)
        case .functions: try FunctionTagCalls.opening(&scanner, of: index)
        case .mistral: try MistralCalls.opening(&scanner, of: index)
        case .deepSeek: try DeepSeekCalls.opening(&scanner, of: index)
        case .recipients: try RecipientCalls.opening(&scanner, of: index)
        case .python, .gemma: nil
        }
      guard let opening, tools.has(opening.name) else { return .whole }
      return .open(opening)
    } catch {
      return error == .more ? .more : .whole
    }
  }
}

extension CallScanner {
  /// Where the object begins that comes next; nil where something else does.
  func opening(_ name: String) throws(Stop) -> CallOpening? {
    try peek() == UInt8(ascii: "{") ? CallOpening(name: name, arguments: position) : nil
  }
}

extension JSONCalls {
  func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    try begin(&scanner)
    return try Self.opening(&scanner, of: index)
  }

  /// In an object or a list that comes next.
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    guard try scanner.peek() == UInt8(ascii: "[") else {
      guard index == 0 else { return nil }
      try checkFirstKey(scanner)
      return try opening(&scanner)
    }
    scanner.skip()
    scanner.skipSpace()
    for _ in 0..<index {
      try scanner.skipValue(depth: 1)
      scanner.skipSpace()
      guard try scanner.peek() == UInt8(ascii: ",") else { return nil }
      scanner.skip()
      scanner.skipSpace()
    }
    return try opening(&scanner)
  }

  /// Goes through the members of an object until it is known what is called, and with what.
  private static func opening(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> CallOpening? {
    guard try scanner.peek() == UInt8(ascii: "{") else { return nil }
    scanner.skip()
    scanner.skipSpace()
    var name: String?
    while true {
      guard let key = try scanner.string() else { return nil }
      scanner.skipSpace()
      try scanner.expect(":")
      scanner.skipSpace()
      if key == function, try scanner.peek() == UInt8(ascii: "{") { return try opening(&scanner) }
      if names.contains(key), name == nil {
        guard let called = try scanner.string(), !called.isEmpty else { return nil }
        name = called
      } else if arguments.contains(key) {
        guard let name else { return nil }
        return try scanner.opening(name)
      } else {
        try scanner.skipValue(depth: 1)
      }
      scanner.skipSpace()
      guard try scanner.peek() == UInt8(ascii: ",") else { return nil }
      scanner.skip()
      scanner.skipSpace()
    }
  }
}

extension BareCalls {
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    _ = try scanner.take(mark)
    scanner.skipSpace()
    return try JSONCalls.opening(&scanner, of: index)
  }
}

extension FunctionTagCalls {
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    let isOpen = try scanner.take(open)
    scanner.skipSpace()
    if isOpen, try scanner.peek() == UInt8(ascii: "{") { return try JSONCalls.opening(&scanner, of: index) }
    guard index == 0 else { return nil }
    let name = try name(&scanner)
    return try scanner.opening(name)
  }
}

extension MistralCalls {
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    try scanner.expect(mark)
    scanner.skipSpace()
    if try isJSON(scanner) { return try JSONCalls.opening(&scanner, of: index) }
    guard index == 0 else { return nil }
    let name = try name(&scanner)
    return try scanner.opening(name)
  }
}

extension DeepSeekCalls {
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    let isList = try scanner.take(openAll)
    scanner.skipSpace()
    try scanner.expect(open)
    for _ in 0..<index {
      _ = try call(&scanner)
      try scanner.takeIfNext(close)
      scanner.skipSpace()
      guard isList, try scanner.take(open) else { return nil }
    }
    let name = try name(&scanner)
    return try scanner.opening(name)
  }
}

extension RecipientCalls {
  static func opening(_ scanner: inout CallScanner, of index: Int) throws(CallScanner.Stop) -> CallOpening? {
    guard index == 0 else { return nil }
    let recipient = try name(&scanner)
    return recipient == all ? nil : try scanner.opening(recipient)
  }
}

/// What a text that begins like calls turned out to be.
enum CallReading: Equatable {
  /// More text is needed.
  case more
  /// These calls, which end at a place in the text; without a call it is a mark that only introduces an answer.
  case calls([ToolCall], end: Int)
  /// No call.
  case broken
}

/// How calls are spelled from their first mark on.
enum CallSyntax: Sendable, Hashable {
  case json(JSONCalls)
  case bare
  case functions
  case mistral
  case deepSeek
  case python
  case gemma
  case recipients

  /// Texts with which calls begin.
  var marks: [String] {
    switch self {
    case .json(let calls): [calls.open]
    case .bare: [BareCalls.mark]
    case .functions: FunctionTagCalls.marks
    case .mistral: [MistralCalls.mark]
    case .deepSeek: DeepSeekCalls.marks
    case .python: [PythonCalls.open]
    case .gemma: [GemmaCalls.open]
    case .recipients: [RecipientCalls.mark]
    }
  }

  /// What an answer begins with that is nothing but calls, without a mark.
  var bareStarts: [UInt8] { self == .bare ? [UInt8(ascii: "{"), UInt8(ascii: "[")] : [] }

  /// Reads what begins with one of the marks, or is bare.
  func read(_ bytes: ArraySlice<UInt8>, _ tools: ToolSignatures, isLast: Bool) -> CallReading {
    var scanner = CallScanner(bytes, isLast: isLast)
    do throws(CallScanner.Stop) {
      let calls: [ToolCall] =
        switch self {
        case .json(let syntax): try syntax.read(&scanner)
        case .bare: try BareCalls.read(&scanner, tools)
        case .functions: try FunctionTagCalls.read(&scanner, tools)
        case .mistral: try MistralCalls.read(&scanner)
        case .deepSeek: try DeepSeekCalls.read(&scanner)
        case .python: try PythonCalls.read(&scanner)
        case .gemma: try GemmaCalls.read(&scanner)
        case .recipients: try RecipientCalls.read(&scanner)
        }
      return .calls(calls, end: scanner.position)
    } catch {
      return error == .more ? .more : .broken
    }
  }
}

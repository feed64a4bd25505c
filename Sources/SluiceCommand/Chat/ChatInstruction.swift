/// What a line that begins with a slash asks of the chat.
enum ChatInstruction: Equatable {
  case exit
  case help
  case undo
  case memory
  case save(String)
  case load(String)
  case unknown(String)
  /// A command without the file's name that it needs.
  case incomplete(String)

  /// Reads a line; nil where it is a message that merely begins with a slash, such as a path or several lines.
  init?(_ line: String) {
    let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
    guard !line.contains("\n"), let name = words.first, !name.dropFirst().contains("/"), name.count > 1 else {
      return nil
    }
    let rest = words.count > 1 ? String(words[1]).trimmingCharacters(of: " ") : ""
    switch name {
    case "/exit", "/quit", "/bye": self = .exit
    case "/help", "/?": self = .help
    case "/undo": self = .undo
    case "/memory": self = .memory
    case "/save": self = rest.isEmpty ? .incomplete("/save") : .save(rest)
    case "/load": self = rest.isEmpty ? .incomplete("/load") : .load(rest)
    default: self = .unknown(String(name))
    }
  }

  static let overview = """
    /undo        take back the last message and its answer
    /save FILE   keep the chat, with all that the model remembers of it
    /load FILE   go on with a chat that was kept
    /memory      what the model remembers, and what it has let go
    /exit        end the chat, as Ctrl-D does
    Ctrl-C stops an answer and keeps what was said so far. Lines pasted together are one message.

    """
}

extension String {
  fileprivate func trimmingCharacters(of character: Character) -> String {
    var text = self[...]
    while text.first == character { text.removeFirst() }
    while text.last == character { text.removeLast() }
    return String(text)
  }
}

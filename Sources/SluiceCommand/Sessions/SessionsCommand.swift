import ArgumentParser
import Evaluation
import Foundation
import ModelJSON
import SessionStore

struct SessionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sessions",
    abstract: "List and manage the sessions that 'sluice run --session NAME' keeps.",
    subcommands: [List.self, Show.self, Remove.self, Fork.self, Pin.self, Unpin.self, Measure.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List sessions, those used last first.")
    @OptionGroup var store: SessionStoreOption
    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
      let sessions = try store.open().sessions()
      if json {
        let object: JSONValue = ["sessions": .array(sessions.map(\.json))]
        return StandardOutput.write(object.text + "\n")
      }
      guard !sessions.isEmpty else {
        return StandardError.write("sluice: there are no sessions; 'sluice run --session NAME' begins one\n")
      }
      var table = TextTable([
        .init("session"), .init("tokens", .trailing), .init("size", .trailing), .init("used"), .init("model"),
        .init("cache"), .init("pinned"),
      ])
      let now = Int64(Date().timeIntervalSince1970)
      for session in sessions {
        table.append([
          session.name, HumanReadable.count(session.tokens), HumanReadable.bytes(session.bytes),
          HumanReadable.age(seconds: now - session.used), session.model, "\(session.plan) \(session.slotType)",
          session.isPinned ? "yes" : "",
        ])
      }
      StandardOutput.write(table.text)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one session.")
    @OptionGroup var store: SessionStoreOption
    @Argument(help: "The session's name.")
    var name: String
    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
      guard let session = try store.open().session(named: name) else { throw CommandError.noSession(name) }
      if json { return StandardOutput.write(session.json.text + "\n") }
      let now = Int64(Date().timeIntervalSince1970)
      StandardOutput.write(
        """
        session  \(session.name)\(session.isPinned ? " (pinned)" : "")
        model    \(session.model)
        cache    \(session.plan), \(session.slotType)
        tokens   \(HumanReadable.count(session.tokens))
        size     \(HumanReadable.bytes(session.bytes))
        created  \(HumanReadable.age(seconds: now - session.created))
        saved    \(HumanReadable.age(seconds: now - session.saved))
        used     \(HumanReadable.age(seconds: now - session.used))

        """)
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rm", abstract: "Remove sessions.")
    @OptionGroup var store: SessionStoreOption
    @Argument(help: "The sessions' names.")
    var names: [String]

    func run() throws {
      let store = try store.open()
      for name in names {
        guard try store.remove(name) else { throw CommandError.noSession(name) }
      }
    }
  }

  struct Fork: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Copy a session, which then goes on under both names.")
    @OptionGroup var store: SessionStoreOption
    @Argument(help: "The session's name.")
    var name: String
    @Argument(help: "The copy's name.")
    var other: String

    func run() throws {
      let store = try store.open()
      guard try store.session(named: other) == nil else { throw CommandError("there is a session '\(other)' already") }
      guard try store.fork(name, as: other) else { throw CommandError.noSession(name) }
    }
  }

  struct Pin: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Keep a session, whatever room others need.")
    @OptionGroup var store: SessionStoreOption
    @Argument(help: "The session's name.")
    var name: String

    func run() throws {
      guard try store.open().setPinned(true, name) else { throw CommandError.noSession(name) }
    }
  }

  struct Unpin: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let a pinned session make room for others again.")
    @OptionGroup var store: SessionStoreOption
    @Argument(help: "The session's name.")
    var name: String

    func run() throws {
      guard try store.open().setPinned(false, name) else { throw CommandError.noSession(name) }
    }
  }
}

extension CommandError {
  fileprivate static func noSession(_ name: String) -> CommandError { CommandError("there is no session '\(name)'") }
}

extension StoredSession {
  /// The session as `--json` prints it.
  fileprivate var json: JSONValue {
    [
      "name": .string(name), "model": .string(model), "cache": .string(plan), "cache_type": .string(slotType),
      "tokens": JSONValue(tokens), "bytes": JSONValue(bytes), "created": .integer(created), "saved": .integer(saved),
      "used": .integer(used), "pinned": .bool(isPinned),
    ]
  }
}

extension HumanReadable {
  /// How long ago something was: `just now`, `5 minutes ago`; a time in the future is now.
  package static func age(seconds: Int64) -> String {
    for (size, unit) in [(86_400, "day"), (3_600, "hour"), (60, "minute")] as [(Int64, String)] where seconds >= size {
      let number = seconds / size
      return "\(count(number)) \(unit)\(number == 1 ? "" : "s") ago"
    }
    return "just now"
  }
}

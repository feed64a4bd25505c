import ArgumentParser
import Engine
import KVCaches
import Models
import SessionStore

/// The session that `sluice run` goes on with.
struct RunSession: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Go on with the stream of this name, in its cache, or begin it; it is kept for the next run, and from time to time "
        + "while this one goes on.", valueName: "name"))
  var session: String?
  @Option(name: .long, help: "Seconds between two saves of a session.")
  var saveEvery = 30
  @OptionGroup var store: SessionStoreOption

  func validate() throws {
    guard session != "" else { throw ValidationError("--session needs a name, but is empty") }
    guard saveEvery >= 0 else { throw ValidationError("--save-every must be 0 or more, but is \(saveEvery)") }
    let idle = [
      ("--session-store", store.sessionStore != nil), ("--session-key", store.sessionKey != nil),
      ("--save-every", saveEvery != 30),
    ].first { $0.1 }
    if session == nil, let idle { throw ValidationError("\(idle.0) needs --session") }
  }

  /// What is remembered: what the options say, what the session has been begun with, or what the model was trained with, which
  /// is every token where it declares nothing.
  ///
  /// - Throws: `CommandError` where both are there and differ.
  func cache(
    _ request: CacheRequest?, _ slotType: KVCache.SlotType?, for configuration: ModelConfiguration,
    in store: SessionStore?
  ) throws -> (plan: KVCache.Plan, slotType: KVCache.SlotType) {
    let named = try request?.resolved(for: configuration, slotType: slotType)
    guard let session, let stored = try store?.session(named: session), stored.tokens > 0,
      let storedType = KVCache.SlotType(rawValue: stored.slotType)
    else {
      let usual = configuration.memory.segments?.plan ?? .full
      return (named?.plan ?? usual, named?.slotType ?? slotType ?? .float16)
    }
    if let named, "\(named.plan)" != stored.plan {
      throw CommandError("the session '\(session)' has the cache '\(stored.plan)', not '\(named.plan)'")
    }
    if let slotType, slotType != storedType {
      throw CommandError("the session '\(session)' has slots of type \(storedType.rawValue), not \(slotType.rawValue)")
    }
    if let named { return (named.plan, storedType) }
    do {
      return (try KVCache.Plan(stored.plan, resolver: .files), storedType)
    } catch {
      throw CommandError("the session '\(session)' has the cache '\(stored.plan)': \(error)")
    }
  }
}

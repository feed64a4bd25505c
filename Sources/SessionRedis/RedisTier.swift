package import NIOCore
package import SessionStore
import Synchronization

/// Items on a Redis or Valkey server, where any machine finds them.
///
/// Of an item there are a manifest (`…:m`), facts (`…:f`, a hash) and pages (`…:p`, a hash by place), and what it shares lies by itself
/// (`RedisTier+Blocks`); a sorted set has all items in the order of use. A change is a transaction that fails where somebody else has changed the manifest or taken a
/// lease first (WATCH). Pages travel in commands and replies of at most 4 MiB. What the server evicts by itself is missed and found out,
/// key by key.
package final class RedisTier: StorageTier {
  package let name = "redis"
  package let isShared = true
  package let byteLimit: Int
  /// For what is looked up, and for transactions, between whose commands no others may come.
  private let connection: RedisConnection
  let transactions: RedisConnection
  /// For leases, which are not to run out behind somebody's pages.
  let leases: RedisConnection
  let prefix: String
  private let inTransaction = Mutex<Void>(())
  private static let pagesAtOnce = (4 << 20) / StoredSection.pageBytes

  /// - Parameters:
  ///   - prefix: what all keys begin with
  ///   - patience: how long the server may take to answer
  package init(
    host: String, port: Int, byteLimit: Int = 10 << 30, prefix: String = "sluice:", patience: TimeAmount = .seconds(5)
  ) {
    (self.byteLimit, self.prefix) = (byteLimit, prefix)
    connection = RedisConnection(host: host, port: port, patience: patience)
    transactions = RedisConnection(host: host, port: port, patience: patience)
    leases = RedisConnection(host: host, port: port, patience: min(patience, .seconds(2)))
  }

  /// The keys of an item; a tenant's length tells it from the name.
  struct Keys {
    let member: String
    let facts, manifest, pages, departure, marks: String
    /// Who has the lease, until it runs out, and the number of the newest one.
    let lease, token: String

    init(_ key: ItemKey, _ prefix: String) {
      member = "\(key.tenant.utf8.count):\(key.tenant)\(key.name)"
      let base = prefix + "{" + member + "}"
      (facts, manifest, pages, departure) = (base + ":f", base + ":m", base + ":p", base + ":d")
      marks = base + ":k"
      (lease, token) = (base + ":l", base + ":t")
    }
  }

  func keys(_ key: ItemKey) -> Keys { Keys(key, prefix) }
  private var index: String { prefix + "items" }
  private var turn: String { prefix + "turn" }

  private static func key(_ member: String) -> ItemKey? {
    guard let colon = member.firstIndex(of: ":"), let length = Int(member[..<colon]) else { return nil }
    let rest = Array(member[member.index(after: colon)...].utf8)
    guard length <= rest.count else { return nil }
    return ItemKey(
      tenant: String(decoding: rest[..<length], as: UTF8.self), name: String(decoding: rest[length...], as: UTF8.self))
  }

  /// Sends commands and refuses replies that are errors.
  func send(
    _ commands: [RESPCommand], on connection: RedisConnection? = nil
  ) throws(TierError) -> [RESPValue] {
    let replies = try (connection ?? self.connection).send(commands)
    for reply in replies {
      guard case .error(let reason) = reply else { continue }
      throw reason.hasPrefix("OOM") ? .full : .failed("Redis: \(reason)")
    }
    return replies
  }

  private static let fields = ["generation", "bytes", "saved", "used", "pinned"]

  private func factsCommand(_ keys: Keys) -> RESPCommand {
    var command = RESPCommand("HMGET", keys.facts)
    for field in Self.fields { command.append(field) }
    return command
  }

  private func item(_ key: ItemKey, _ reply: RESPValue) -> TierItem? {
    let numbers = reply.elements?.map(\.integer) ?? []
    guard numbers.count == 5, let generation = numbers[0], let bytes = numbers[1], let saved = numbers[2],
      let used = numbers[3]
    else { return nil }
    return TierItem(
      key: key, generation: generation, bytes: Int(bytes), saved: saved, used: used, isPinned: numbers[4] == 1)
  }

  package func bytes() throws(TierError) -> Int {
    let saved = try send([RESPCommand("GET", savings)])[0].integer ?? 0
    return max(0, try items().reduce(0) { $0 + $1.bytes } - Int(saved))
  }

  package func growth(with change: ItemChange) throws(TierError) -> Int {
    let there = try send([factsCommand(keys(change.key)), RESPCommand("GET", keys(change.key).manifest)])
    let (before, after) = (Self.blocks(of: there[1].bytes), Self.blocks(of: change.manifest))
    let (new, gone) = (Self.blocks(after, without: before), Self.blocks(before, without: after))
    let users = try send((new + gone).map { RESPCommand("SCARD", keys($0, of: change.key).users) }).map {
      $0.integer ?? 0
    }
    let known = zip(new, users).reduce(0) { $0 + ($1.1 > 0 ? $1.0.bytes : 0) }
    let kept = zip(gone, users.dropFirst(new.count)).reduce(0) { $0 + ($1.1 > 1 ? $1.0.bytes : 0) }
    return change.manifest.bytes - known + kept - (item(change.key, there[0])?.bytes ?? 0)
  }

  package func items() throws(TierError) -> [TierItem] {
    let members = try send([RESPCommand("ZRANGE", index, "0", "-1")])[0].elements ?? []
    let known = members.compactMap { $0.bytes.flatMap { Self.key(String(decoding: $0, as: UTF8.self)) } }
    let replies = try send(known.map { factsCommand(keys($0)) })
    return zip(known, replies).compactMap { item($0, $1) }
  }

  package func item(_ key: ItemKey) throws(TierError) -> TierItem? {
    item(key, try send([factsCommand(keys(key))])[0])
  }

  package func manifest(of key: ItemKey) throws(TierError) -> [UInt8]? {
    try send([RESPCommand("GET", keys(key).manifest)])[0].bytes
  }

  package func startOfAnyManifest() throws(TierError) -> [UInt8]? {
    // Of a key that the server has evicted there is nothing.
    let members = try send([RESPCommand("ZREVRANGE", index, "0", "7")])[0].elements ?? []
    let known = members.compactMap { $0.bytes.flatMap { Self.key(String(decoding: $0, as: UTF8.self)) } }
    let starts = try send(
      known.map { RESPCommand("GETRANGE", keys($0).manifest, "0", "\(Manifest.startBytes - 1)") })
    return starts.lazy.compactMap(\.bytes).first { !$0.isEmpty }
  }

  @discardableResult
  package func apply(_ change: ItemChange) throws(TierError) -> Int {
    try inTransaction.withLock { _ throws(TierError) in
      for _ in 0..<Self.attempts {
        if let written = try commit(change) { return written }
      }
      throw .outOfStep
    }
  }

  /// How often a change is tried that something came between: the next look says what it was.
  private static let attempts = 3

  /// - Returns: bytes that were written; nil where the manifest, the lease or a block changed meanwhile.
  private func commit(_ change: ItemChange) throws(TierError) -> Int? {
    let keys = keys(change.key)
    let there = try send(
      [
        RESPCommand("WATCH", keys.manifest, keys.token), factsCommand(keys), RESPCommand("GET", keys.manifest),
        RESPCommand("INCR", turn), RESPCommand("GET", keys.token), RESPCommand("EXISTS", keys.lease),
      ], on: transactions)
    var isOpen = true
    defer { if isOpen { _ = try? transactions.send([RESPCommand("UNWATCH")]) } }
    guard change.token.map({ $0 >= there[4].integer ?? 0 }) ?? (there[5].integer == 0) else { throw .fenced }
    let existing = item(change.key, there[1])
    if let mismatch = SealMismatch(of: change.manifest, with: there[2].bytes ?? []) { throw .sealed(mismatch) }
    if let base = change.base {
      guard let existing else { throw .gone }
      guard existing.generation == base else { throw .outOfStep }
    }
    let (before, after) = (Self.blocks(of: there[2].bytes), Self.blocks(of: change.manifest))
    // What is written whole is not believed to be there.
    let new = (change.base == nil ? after : after.subtracting(before)).sorted { $0.section < $1.section }
    let known = try self.existing(new, of: change.key)
    guard try bytes() + growth(with: change) <= byteLimit else { throw .full }
    var commands = [RESPCommand("MULTI")]
    if change.base == nil { commands.append(RESPCommand("DEL", keys.pages)) }
    if let marks = change.marks { commands.append(setMarks(marks, of: change.key)) }
    for block in new where !known.contains(block) { commands.append(move(block, of: change)) }
    let stale = change.base == nil ? [] : change.places(goneFrom: there[2].bytes)
    if !stale.isEmpty {
      var delete = RESPCommand("HDEL", keys.pages)
      for place in stale { delete.append(place) }
      commands.append(delete)
    }
    let sections = change.rewrites ? [] : Set(known.map(\.section))
    let pages = change.pages.filter { !sections.contains($0.place.section) }
    commands += setCommands(pages, blocks: after, change.key)
    for block in new { commands.append(use(block, change.key)) }
    for block in Self.blocks(before, without: after) { commands.append(release(block, change.key)) }
    var manifest = RESPCommand("SET", keys.manifest)
    manifest.append(change.manifest.encoded)
    var facts = RESPCommand("HSET", keys.facts)
    let values = [
      change.manifest.generation, Int64(change.manifest.bytes), change.manifest.saved, change.manifest.saved,
      existing?.isPinned == true ? 1 : 0,
    ]
    for (field, value) in zip(Self.fields, values) {
      facts.append(field)
      facts.append(value)
    }
    commands += [
      manifest, facts, RESPCommand("ZADD", index, "\(there[3].integer ?? 0)", keys.member),
      RESPCommand("DEL", keys.departure), RESPCommand("EXEC"),
    ]
    isOpen = false
    guard case .array(_?) = try send(commands, on: transactions).last else { return nil }
    return pages.reduce(0) { $0 + $1.bytes.count }
  }

  /// Writes pages beside their item, or into its blocks.
  private func setCommands(_ pages: [ItemChange.Page], blocks: Set<Block>, _ key: ItemKey) -> [RESPCommand] {
    let places = Dictionary(blocks.map { ($0.section, keys($0, of: key).pages) }) { first, _ in first }
    var commands: [RESPCommand] = []
    for (hash, pages) in Dictionary(grouping: pages, by: { places[$0.place.section] ?? keys(key).pages }) {
      for first in stride(from: 0, to: pages.count, by: Self.pagesAtOnce) {
        var set = RESPCommand("HSET", hash)
        for page in pages[first..<min(pages.count, first + Self.pagesAtOnce)] {
          set.append(places[page.place.section] == nil ? page.place.number : page.place.numberInSection)
          set.append(page.bytes)
        }
        commands.append(set)
      }
    }
    return commands
  }

  package func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    let keys = keys(key)
    var pages: [(place: Int64, range: Range<Int>)] = []
    let block = section.address.map { BlockKeys($0, of: key.owner, prefix) }
    section.forEachPage { place, range, _ in
      pages.append((block == nil ? place.number : place.numberInSection, range))
    }
    // Facts before and after, so that what is between belongs to them.
    var commands = [factsCommand(keys)]
    for first in stride(from: 0, to: pages.count, by: Self.pagesAtOnce) {
      var get = RESPCommand("HMGET", block?.pages ?? keys.pages)
      for page in pages[first..<min(pages.count, first + Self.pagesAtOnce)] { get.append(page.place) }
      commands.append(get)
    }
    commands.append(factsCommand(keys))
    let replies = try send(commands)
    for facts in [replies.first, replies.last] {
      guard let facts, item(key, facts)?.generation == generation else { throw .gone }
    }
    let contents = replies.dropFirst().dropLast().flatMap { $0.elements ?? [] }
    var bytes = [UInt8](repeating: 0, count: section.bytes)
    for (page, content) in zip(pages, contents) {
      guard let content = content.bytes, content.count == page.range.count else {
        throw .corrupt("a page is missing or of another length")
      }
      bytes.replaceSubrange(page.range, with: content)
    }
    bytes.withUnsafeBytes(body)
  }

  package func remove(_ key: ItemKey, because reason: Departure) throws(TierError) {
    try inTransaction.withLock { _ throws(TierError) in
      for _ in 0..<Self.attempts {
        if try takeAway(key, because: reason) { return }
      }
      throw .outOfStep
    }
  }

  /// - Returns: false where the item was saved meanwhile.
  private func takeAway(_ key: ItemKey, because reason: Departure) throws(TierError) -> Bool {
    let keys = keys(key)
    let there = try send(
      [RESPCommand("WATCH", keys.manifest), factsCommand(keys), RESPCommand("GET", keys.manifest)], on: transactions)
    guard item(key, there[1]) != nil else {
      _ = try? transactions.send([RESPCommand("UNWATCH")])
      return true
    }
    let commands =
      [
        RESPCommand("MULTI"), setMarks([], of: key), RESPCommand("DEL", keys.facts, keys.manifest, keys.pages),
        RESPCommand("ZREM", index, keys.member), RESPCommand("SET", keys.departure, reason.rawValue, "EX", "604800"),
      ] + Self.blocks(of: there[2].bytes).map { release($0, key) } + [RESPCommand("EXEC")]
    guard case .array(_?) = try send(commands, on: transactions).last else { return false }
    return true
  }

  package func departure(of key: ItemKey) throws(TierError) -> Departure? {
    try send([RESPCommand("GET", keys(key).departure)])[0].bytes
      .flatMap { Departure(rawValue: String(decoding: $0, as: UTF8.self)) }
  }

  package func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError) {
    let keys = keys(key)
    guard try item(key) != nil else { return }
    let turn = try send([RESPCommand("INCR", turn)])[0].integer ?? 0
    _ = try send([
      RESPCommand("HSET", keys.facts, "used", "\(seconds)"), RESPCommand("ZADD", index, "XX", "\(turn)", keys.member),
    ])
  }

  package func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError) {
    guard try item(key) != nil else { return }
    _ = try send([RESPCommand("HSET", keys(key).facts, "pinned", isPinned ? "1" : "0")])
  }

  package func copy(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    try inTransaction.withLock { _ throws(TierError) in try duplicate(key, to: other, at: seconds, relabel) }
  }

  private func duplicate(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    let (from, to) = (keys(key), keys(other))
    let there = try send(
      [
        RESPCommand("WATCH", from.manifest, to.manifest), factsCommand(from), RESPCommand("INCR", turn),
        RESPCommand("GET", from.manifest), RESPCommand("GET", to.manifest),
      ], on: transactions)
    guard let item = item(key, there[1]) else {
      _ = try? transactions.send([RESPCommand("UNWATCH")])
      throw .gone
    }
    let (blocks, replaced) = (Self.blocks(of: there[3].bytes), Self.blocks(of: there[4].bytes))
    var manifest = RESPCommand("COPY", from.manifest, to.manifest, "REPLACE")
    if let relabel {
      manifest = RESPCommand("SET", to.manifest)
      manifest.append(try relabel(there[3].bytes ?? []))
    }
    let shared = blocks.flatMap { block in
      let (theirs, ours) = (keys(block, of: key).pages, keys(block, of: other).pages)
      // Another owner gets a copy.
      return (theirs == ours ? [] : [RESPCommand("COPY", theirs, ours)]) + [use(block, other)]
    }
    var commands = [RESPCommand("MULTI")] + shared + Self.blocks(replaced, without: blocks).map { release($0, other) }
    commands += [
      RESPCommand("DEL", to.facts, to.pages), manifest,
      RESPCommand("COPY", from.pages, to.pages, "REPLACE"),
      RESPCommand(
        "HSET", to.facts, "generation", "\(item.generation)", "bytes", "\(item.bytes)", "saved", "\(seconds)", "used",
        "\(seconds)", "pinned", "0"),
      RESPCommand("ZADD", index, "\(there[2].integer ?? 0)", to.member), RESPCommand("DEL", to.departure),
      RESPCommand("EXEC"),
    ]
    let replies = try send(commands, on: transactions)
    guard case .array(_?) = replies.last else { throw .outOfStep }
  }
}

package import SessionStore

/// Marks by which items are found: a hash for each tenant has names by marks, and a key for each item (`…:k`) its own marks.
extension RedisTier {
  /// Keys: the tenant's marks, the item's. Arguments: the item's name, days that marks live in seconds, new marks.
  private static let script = """
    local before = redis.call('GET', KEYS[2]) or ''
    for mark in string.gmatch(before, '%S+') do
      if redis.call('HGET', KEYS[1], mark) == ARGV[1] then redis.call('HDEL', KEYS[1], mark) end
    end
    redis.call('DEL', KEYS[2])
    if #ARGV < 3 then return 0 end
    local now = {}
    for place = 3, #ARGV do
      redis.call('HSET', KEYS[1], ARGV[place], ARGV[1])
      now[#now + 1] = ARGV[place]
    end
    redis.call('SET', KEYS[2], table.concat(now, ' '), 'EX', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    return #now
    """

  /// What nobody saved in so long is found by its name only.
  private static let lifetime: Int64 = 30 * 86_400

  private func marks(of tenant: String) -> String { prefix + "marks:" + tenant }

  /// The command that gives an item its marks, as part of a transaction.
  func setMarks(_ marks: [Int64], of key: ItemKey) -> RESPCommand {
    var command = RESPCommand("EVAL", Self.script, "2", self.marks(of: key.tenant), keys(key).marks, key.name)
    command.append(Self.lifetime)
    for mark in marks { command.append(mark) }
    return command
  }

  package func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName? {
    guard !marks.isEmpty else { return nil }
    var command = RESPCommand("HMGET", self.marks(of: tenant))
    for mark in marks { command.append(mark) }
    let names = try send([command])[0].elements ?? []
    for (mark, name) in zip(marks, names) {
      if let bytes = name.bytes { return MarkedName(name: String(decoding: bytes, as: UTF8.self), mark: mark) }
    }
    return nil
  }
}

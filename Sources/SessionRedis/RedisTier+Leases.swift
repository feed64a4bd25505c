package import SessionStore

/// Leases, by the Redis server's clock.
///
/// Who has one stands in a key that runs out by itself (`…:l`); the number of the newest one in a key that stays (`…:t`), which
/// every write watches. Scripts run alone there, so to look and to take is one thing.
extension RedisTier {
  /// Keys: who has it, its number. Arguments: who asks, milliseconds, how long the number is remembered.
  private static let takeScript = """
    if redis.call('EXISTS', KEYS[1]) == 1 then return {0, redis.call('PTTL', KEYS[1])} end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local last = tonumber(redis.call('GET', KEYS[2]) or '0')
    local token = string.format('%.0f', math.max(last + 1, now))
    redis.call('SET', KEYS[2], token, 'PX', ARGV[3])
    redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[2])
    return {1, token}
    """

  /// Further arguments: the number. What the server evicted by itself is written again; otherwise the number is touched only when half
  /// of its time is over, since a write that watches it would have to be made again.
  private static let renewScript = """
    local mine = ARGV[4] .. ' ' .. ARGV[1]
    local token, there = redis.call('GET', KEYS[2]), redis.call('GET', KEYS[1])
    if (token and token ~= ARGV[4]) or (there and there ~= mine) then return 0 end
    if not token or redis.call('PTTL', KEYS[2]) < ARGV[3] / 2 then redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3]) end
    redis.call('SET', KEYS[1], mine, 'PX', ARGV[2])
    return 1
    """

  private static let endScript = """
    if redis.call('GET', KEYS[1]) == ARGV[4] .. ' ' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
    return 1
    """

  package func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    let reply = try run(Self.takeScript, on: key, owner, milliseconds, token: nil).elements ?? []
    guard reply.count == 2, let isGranted = reply[0].integer, let number = reply[1].integer else {
      throw .failed("Redis: a lease has another form")
    }
    // A key without an end would be nobody's.
    return isGranted == 1
      ? .granted(Lease(key: key, token: number, owner: owner)) : .held(milliseconds: max(0, number))
  }

  package func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool {
    try run(Self.renewScript, on: lease.key, lease.owner, milliseconds, token: lease.token).integer == 1
  }

  package func endLease(_ lease: Lease) throws(TierError) {
    _ = try run(Self.endScript, on: lease.key, lease.owner, 0, token: lease.token)
  }

  private func run(
    _ script: String, on key: ItemKey, _ owner: String, _ milliseconds: Int64, token: Int64?
  ) throws(TierError) -> RESPValue {
    let keys = keys(key)
    var command = RESPCommand("EVAL", script, "2", keys.lease, keys.token, owner)
    for number in [milliseconds, Lease.memory] { command.append(number) }
    if let token { command.append(token) }
    return try send([command], on: leases)[0]
  }
}

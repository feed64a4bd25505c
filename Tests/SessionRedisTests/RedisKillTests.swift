import Kernels
import SessionWriterSupport
import Testing

/// A process that saves sessions on a Redis server is killed at random moments, and now and then the server before it.
@Suite(.enabled(if: RedisServer.isInstalled, "Scripts/install-redis installs redis-server"))
struct RedisKillTests {
  @Test func `nothing acknowledged is lost, and nothing torn is read, whoever dies`() throws {
    var random = SplitMix64(seed: 12)
    var acknowledged: [String: Int] = [:]
    // The log is on the disk before a save is acknowledged; it outlives the server.
    let log = RedisLog()
    var server = try RedisServer(log: log)
    let writer = SessionWriter(store: "redis:\(server.port)")
    for kill in 0..<SessionWriter.kills {
      let alsoServer = kill % 3 == 2
      let (safe, complaint) = try writer.write(
        seed: kill, killedAfter: UInt32(random.next() % 250_000), countsFromFirstSave: kill.isMultiple(of: 2)
      ) { if alsoServer { server.stop() } }
      #expect(complaint.isEmpty || alsoServer, "kill \(kill): \(complaint)")
      acknowledged.merge(safe) { max($0, $1) }
      if alsoServer { server = try RedisServer(port: server.port, log: log) }

      let (found, fault) = try writer.check()
      try #require(fault == nil, "kill \(kill): \(fault ?? "")")
      for (name, generation) in acknowledged {
        #expect((found[name] ?? 0) >= generation, "kill \(kill): \(name) was acknowledged")
      }
      acknowledged.merge(found) { max($0, $1) }
    }
    #expect(acknowledged.values.reduce(0, +) >= SessionWriter.kills / 2, "the process did save")
  }
}

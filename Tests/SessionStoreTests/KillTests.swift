import Kernels
import SessionWriterSupport
import Testing

/// A process that saves sessions is killed at random moments.
@Suite struct KillTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  @Test func `nothing acknowledged is lost, nothing torn is read, and every start is clean`() throws {
    var random = SplitMix64(seed: 11)
    var acknowledged: [String: Int] = [:]
    let writer = SessionWriter(store: folder.file)
    for kill in 0..<SessionWriter.kills {
      // From before the store is open to some hundred saves.
      let (safe, complaint) = try writer.write(seed: kill, killedAfter: UInt32(random.next() % 250_000))
      #expect(complaint.isEmpty, "kill \(kill): \(complaint)")
      acknowledged.merge(safe) { max($0, $1) }

      let (found, fault) = try writer.check()
      try #require(fault == nil, "kill \(kill): \(fault ?? "")")
      for (name, generation) in acknowledged {
        #expect((found[name] ?? 0) >= generation, "kill \(kill): \(name) was acknowledged")
      }
      // What was written and not yet told is there too, and is what the next process goes on from.
      acknowledged.merge(found) { max($0, $1) }
    }
    #expect(acknowledged.values.reduce(0, +) > SessionWriter.kills, "the process did save")
  }
}

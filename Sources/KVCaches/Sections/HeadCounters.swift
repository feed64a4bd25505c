/// Counters of head groups, where the heads of a group are divided among several caches.
///
/// Most count the same whichever heads are stored. What a prompt's end left of each head is counted by head, and each
/// cache counts its own.
extension KVCache {
  /// The counters of a cache that stores some heads, of those of one that stores all.
  ///
  /// - Throws: `KVCacheError` where they are impossible for this plan.
  package func counters(
    storing share: HeadShare, from whole: [UnsafeRawBufferPointer]
  ) throws(KVCacheError) -> [[UInt8]] {
    let (all, own) = (try plan.parts(for: attention), try plan.parts(for: attention, storing: share))
    guard whole.count == all.count else { throw .badSnapshot("it has counters of \(whole.count) groups") }
    var result: [[UInt8]] = []
    for (index, bytes) in whole.enumerated() {
      var counters = try GroupCounters(bytes)
      try counters.change(all[index].plan) { (byHead) throws(KVCacheError) in
        guard byHead.count == all[index].heads.count else {
          throw .badSnapshot("it holds tokens of \(byHead.count) heads")
        }
        let values = Dictionary(uniqueKeysWithValues: zip(all[index].heads.modelHeads, byHead))
        return own[index].heads.modelHeads.compactMap { values[$0] }
      }
      result.append(counters.bytes)
    }
    return result
  }

  /// The counters of a cache that stores all heads, of those of caches that store some each.
  ///
  /// - Throws: `KVCacheError` where they are impossible for this plan, or a head is missing.
  package func joinedCounters(
    _ parts: [(share: HeadShare, counters: [[UInt8]])]
  ) throws(KVCacheError) -> [[UInt8]] {
    let all = try plan.parts(for: attention)
    var result: [[UInt8]] = []
    for (index, group) in all.enumerated() {
      var values: [Int: Int64] = [:]
      var joined: GroupCounters?
      for part in parts {
        guard part.counters.count == all.count else {
          throw .badSnapshot("it has counters of \(part.counters.count) groups")
        }
        var counters = try GroupCounters(part.counters[index])
        let own = try plan.parts(for: attention, storing: part.share)[index].heads.modelHeads
        try counters.change(group.plan) { (byHead) throws(KVCacheError) in
          guard byHead.count == own.count else { throw .badSnapshot("it holds tokens of \(byHead.count) heads") }
          for (head, value) in zip(own, byHead) { values[head] = value }
          return byHead
        }
        // A cache that has none of the group's heads counts none of a prompt's tokens.
        if joined == nil || !own.isEmpty { joined = counters }
      }
      guard var joined else { throw .badSnapshot("nobody has its counters") }
      let known = values
      try joined.change(group.plan) { (_) throws(KVCacheError) in
        let byHead = group.heads.modelHeads.compactMap { known[$0] }
        guard byHead.count == group.heads.count else { throw .badSnapshot("it holds tokens of \(byHead.count) heads") }
        return byHead
      }
      result.append(joined.bytes)
    }
    return result
  }
}

/// The counters of a group as its section has them.
private struct GroupCounters {
  private let tokens: Int64
  private var stages: [[Int64]] = []

  init(_ bytes: [UInt8]) throws(KVCacheError) {
    let result: Result<GroupCounters, KVCacheError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(KVCacheError) in try GroupCounters(bytes) }
    }
    self = try result.get()
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(KVCacheError) {
    var reader = SectionReader(bytes)
    tokens = try reader.read()
    let count = Int(try reader.read(UInt32.self))
    for _ in 0..<count {
      let length = Int(try reader.read(UInt32.self))
      guard length <= reader.remaining / 8 else { throw .badSnapshot("a stage claims \(length) counters") }
      var counters: [Int64] = []
      for _ in 0..<length { counters.append(try reader.read()) }
      stages.append(counters)
    }
    guard reader.remaining == 0 else { throw .badSnapshot("counters are followed by something else") }
  }

  /// Puts others in the place of the counters that there are of each head, where there are some.
  mutating func change(
    _ plan: KVCache.Plan, _ body: ([Int64]) throws(KVCacheError) -> [Int64]
  ) throws(KVCacheError) {
    guard stages.count == plan.stages.count else { throw .badSnapshot("another number of stages") }
    for (index, stage) in plan.stages.enumerated() {
      guard let first = stage.blueprint.makeStage().firstHeadCounter, stages[index].count > first else { continue }
      stages[index].replaceSubrange(first..., with: try body(Array(stages[index][first...])))
    }
  }

  var bytes: [UInt8] {
    var writer = SectionWriter()
    writer.write(tokens)
    writer.write(UInt32(stages.count))
    for stage in stages {
      writer.write(UInt32(stage.count))
      for counter in stage { writer.write(counter) }
    }
    return writer.bytes
  }
}

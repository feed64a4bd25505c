package import KVCaches
package import Kernels
import SessionStore

/// How long a session takes to be saved and taken up, and what a turn writes, for a cache without its model.
package struct SessionStoreRun: Sendable {
  /// A tier, and the least seconds until a session that is in it can go on.
  package struct Tier: Sendable {
    package let name: String
    package let seconds: Double
  }

  package private(set) var tiers: [Tier] = []
  /// Bytes of the session in a store.
  package private(set) var bytes = 0
  /// Bytes that a turn changes in memory, its tokens' keys and values, and those that its save writes.
  package private(set) var turnBytes = 0
  package private(set) var savedBytes = 0
  /// Seconds for which a save holds up the model's thread, of a whole session and of a turn, the least of them.
  package private(set) var wholeSaveSeconds = 0.0
  package private(set) var turnSaveSeconds = 0.0

  /// - Parameters:
  ///   - path: the file of a store, which is made
  ///   - tokens: of the session
  ///   - turn: tokens between two saves
  package static func measure(
    plan: KVCache.Plan, shape: KVCache.Shape, slotType: KVCache.SlotType, tokens: Int, turn: Int, rounds: Int,
    path: String, team: WorkerTeam, kernels: InstructionSet
  ) throws -> SessionStoreRun {
    let make = { () throws(KVCacheError) in
      try KVCache(
        plan: plan, shape: shape, slotType: slotType,
        positions: .rotary(RotaryEmbedding(dim: shape.headDim, base: 10_000, layout: .halves)))
    }
    var run = SessionStoreRun()
    let cache = try make()
    let reader = RandomReader(shape, team: team, kernels: kernels)
    reader.read(tokens, into: cache)
    run.turnBytes = KVCache.bytesPerToken(shape: shape, slotType: slotType) * turn
    let store = try SessionStore(path: path)
    var subject = Subject(store: store)
    run.wholeSaveSeconds = try subject.save(cache).seconds
    run.bytes = subject.stored?.bytes ?? 0
    var turns: [(seconds: Double, bytes: Int)] = []
    for _ in 0..<rounds {
      reader.read(turn, into: cache)
      turns.append(try subject.save(cache))
    }
    run.turnSaveSeconds = best(turns.map(\.seconds))
    run.savedBytes = Int(median(turns.map { Double($0.bytes) }))
    run.tiers.append(Tier(name: "memory", seconds: try subject.restore(make, from: store, rounds)))
    var options = SessionStore.Options()
    options.memoryBytes = 0
    let disk = try SessionStore(path: path, options: options)
    run.tiers.append(Tier(name: "disk", seconds: try subject.restore(make, from: disk, rounds)))
    return run
  }

  /// Feeds a cache with random queries, keys and values, as a model would with its own.
  private struct RandomReader {
    private let layers: Int
    private let attention: LocalAttention
    /// `[token, head, headDim]`, of one chunk.
    private let queries, keys, values, output: Buffer<Float>
    private static let chunk = 128

    init(_ shape: KVCache.Shape, team: WorkerTeam, kernels: InstructionSet) {
      layers = shape.layers
      attention = LocalAttention(shape: shape, team: team, kernels: kernels)
      let count = Self.chunk * shape.queryHeads * shape.headDim
      (queries, keys) = (KVCache.noise(count: count, seed: 1), KVCache.noise(count: 2 * count, seed: 2))
      (values, output) = (KVCache.noise(count: 2 * count, seed: 3), Buffer(count: count))
    }

    func read(_ tokens: Int, into cache: KVCache) {
      var left = tokens
      while left > 0 {
        let count = cache.admissibleChunk(min(Self.chunk, left))
        // Other numbers each time, so that no slot happens to stay as it was.
        let shift = Int(cache.tokenCount) % 61
        attention.beginStep(cache, rows: count)
        for layer in 0..<layers {
          attention.begin(layer: layer, queries: queries.pointer)
          attention.finish(
            layer: layer, keys: keys.pointer + shift, values: values.pointer + shift, output: output.pointer)
        }
        left -= count
      }
    }
  }

  /// The session that is saved and taken up.
  private struct Subject {
    let store: SessionStore
    var stored: Manifest?
    private static let key = ItemKey(name: "measurement")
    private static let fingerprint = Fingerprint(model: "", tokenizer: "", cache: "")

    init(store: SessionStore) { self.store = store }

    mutating func save(_ cache: KVCache) throws -> (seconds: Double, bytes: Int) {
      let start = ContinuousClock.now
      var capture = ItemCapture(
        Self.key,
        Manifest(
          fingerprint: Self.fingerprint, plan: "", slotType: "", modelName: "", tokens: cache.tokenCount, created: 0,
          saved: 0), previous: stored, hash: store.pageHash)
      try capture.take(cache)
      cache.noteSaved()
      let change = capture.change()
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      stored = change.manifest
      store.save(change)
      store.flush()
      return (seconds, change.bytes)
    }

    func restore(_ make: () throws -> KVCache, from store: SessionStore, _ rounds: Int) throws -> Double {
      var times: [Double] = []
      for _ in 0..<rounds {
        let cache = try make()
        let start = ContinuousClock.now
        try store.find(Self.key, for: Self.fingerprint).get().restore(cache)
        times.append((ContinuousClock.now - start) / .seconds(1))
        store.flush()
      }
      return best(times)
    }
  }

  private static func best(_ values: [Double]) -> Double { values.min() ?? 0 }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

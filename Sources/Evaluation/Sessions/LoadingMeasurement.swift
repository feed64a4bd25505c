import CLibrary
package import Engine
package import KVCaches
import Kernels
import Models
import SessionStore

/// What layer-wise pre-loading gains where a tier is slow: a stored session goes on while its layers come.
///
/// The tier is throttled so that loading takes a given multiple of the time of computing, in which the paper's examples are.
package struct LoadingMeasurement: Sendable {
  package struct Options: Sendable {
    package var plan = KVCache.Plan.full
    package var slotType = KVCache.SlotType.float16
    /// Tokens of the session, and those that are new.
    package var (tokens, new) = (512, 64)
    /// Seconds of loading over those of computing.
    package var ratio = 31.5 / 20
    package var rounds = 5

    package init() {}
  }

  package struct Row: Sendable {
    /// Layers that are there when computing begins.
    package let lead: Int
    /// Seconds from the request to its first token, and from when the model begins with it: the middle of all rounds, and
    /// what `LayerLead.replay` says.
    package let request: (measured: Double, predicted: Double)
    package let model: (measured: Double, predicted: Double)
  }

  package private(set) var rows: [Row] = []
  package private(set) var layers = 0
  package private(set) var bytes = 0
  /// Seconds in which the new tokens are computed, and all layers are loaded.
  package private(set) var (computeSeconds, loadSeconds) = (0.0, 0.0)
  /// The lead that the rule gives.
  package private(set) var ruleLead = 0
  /// Seconds of computing everything again.
  package private(set) var recomputeSeconds = 0.0

  private static let key = ItemKey(name: "session")

  package static func measure(_ loaded: LanguageModel.Loaded, _ options: Options) throws -> LoadingMeasurement {
    var result = LoadingMeasurement()
    let engine = loaded.engine
    let scheduler = Scheduler(engine: engine)
    var source = SplitMix64(seed: 1)
    let ids = (0..<options.tokens + options.new).map { _ in Int32(source.next() % UInt64(engine.vocabularySize)) }
    let tier = MemoryTier(byteLimit: .max)
    var limits = SessionStore.Options()
    limits.memoryBytes = 0
    let store = SessionStore(disk: tier, options: limits)
    let make = { () throws -> Sequence in try engine.makeSequence(options.plan, slotType: options.slotType) }
    func logits(of sequence: Sequence, _ new: ArraySlice<Int32>) -> Double {
      let start = ContinuousClock.now
      sequence.append(Array(new))
      _ = scheduler.logits(of: sequence)
      scheduler.remove(sequence)
      return (.now - start) / .seconds(1)
    }
    let whole = try make()
    _ = logits(of: whole, ids[..<options.tokens])
    try SessionCheckpointer(store, key, model: loaded.fingerprint).save(whole)
    store.flush()
    result.layers = engine.model.configuration.layers.count
    guard let item = tier.items().first else { return result }
    result.bytes = item.bytes
    // What computing takes once all is there, and without anything.
    var (computing, again): ([Double], [Double]) = ([], [])
    for _ in 0..<options.rounds {
      let sequence = try make()
      _ = SessionCheckpointer(store, key, model: loaded.fingerprint).load(
        into: sequence, vocabulary: engine.vocabularySize)
      computing.append(logits(of: sequence, ids[options.tokens...]))
      again.append(logits(of: try make(), ids[...]))
    }
    (result.computeSeconds, result.recomputeSeconds) = (median(computing), median(again))
    result.loadSeconds = options.ratio * result.computeSeconds
    let slow = SessionStore(
      disk: DelayedTier(tier, bytesPerSecond: Double(item.bytes) / result.loadSeconds), options: limits)
    let loads = [Double](repeating: result.loadSeconds / Double(result.layers), count: result.layers)
    let compute = result.computeSeconds / Double(result.layers)
    result.ruleLead = LayerLead.layers(loadSeconds: loads, computeSeconds: compute)
    for lead in Set([1, max(1, result.ruleLead / 2), result.ruleLead, result.layers]).sorted() {
      var (requests, models): ([Double], [Double]) = ([], [])
      for _ in 0..<options.rounds {
        let sequence = try make()
        var terms = LoadTerms()
        terms.lead = lead
        let start = ContinuousClock.now
        let load = SessionCheckpointer(slow, key, model: loaded.fingerprint).beginLoad(
          into: sequence, vocabulary: engine.vocabularySize, terms: terms)
        while !load.isReady { usleep(50) }
        let begin = ContinuousClock.now
        _ = load.finish()
        _ = logits(of: sequence, ids[options.tokens...])
        requests.append((.now - start) / .seconds(1))
        models.append((.now - begin) / .seconds(1))
      }
      let replay = LayerLead.replay(loadSeconds: loads, computeSeconds: compute, lead: lead)
      let ahead = loads.prefix(lead).reduce(0, +)
      result.rows.append(
        Row(lead: lead, request: (median(requests), replay.end), model: (median(models), replay.end - ahead)))
    }
    return result
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

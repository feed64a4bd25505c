import Engine
import KVCaches
import Kernels
import TestSupport
import Tokenizers

/// Loads a tiny model with exact arithmetic, so that different ways to compute the same thing agree to rounding.
func loadTiny(
  _ tiny: TinyModel = TinyModel(), adapter: TinyAdapter? = nil, scale: Double = 1, chunk: Int = 512, threads: Int = 1
) throws -> LanguageModel.Loaded {
  try withTemporaryDirectory { folder in
    let adapters = try adapter.map { [LanguageModel.Adapter(try $0.write(in: folder), scale: scale)] } ?? []
    return try LanguageModel.Loaded(
      path: tiny.write(in: folder),
      options: LanguageModel.Options(threads: threads, chunk: chunk, exactArithmetic: true, adapters: adapters))
  }
}

/// Ids of ordinary tokens.
func randomIDs(_ count: Int, seed: UInt64) -> [Int32] {
  var random = SplitMix64(seed: seed)
  let ordinary = Int32(TinyModel.specialTokens.count)..<Int32(TinyModel.vocabularySize)
  return (0..<count).map { _ in Int32.random(in: ordinary, using: &random) }
}

extension LanguageModel.Loaded {
  func single(_ plan: String = "full", log: TokenLog = TokenLog()) throws -> SingleSequence {
    SingleSequence(
      Scheduler(engine: engine), try engine.makeSequence(KVCache.Plan(plan), slotType: .float32, log: log))
  }
}

/// A sequence with a scheduler of its own.
struct SingleSequence {
  let scheduler: Scheduler
  let sequence: Sequence

  init(_ scheduler: Scheduler, _ sequence: Sequence) {
    (self.scheduler, self.sequence) = (scheduler, sequence)
    scheduler.add(sequence)
  }

  var memory: KVCache { sequence.memory }

  func append(_ tokens: [Int32]) { sequence.append(tokens) }
  func append(_ token: Int32) { sequence.append(token) }

  /// Brings all full chunks through the model.
  func readFullChunks(afterChunk: () -> Void = {}) {
    while scheduler.step() { afterChunk() }
  }

  /// A copy of the logits after all that was appended; empty where `proceeds` said no between chunks.
  func logits(while proceeds: () -> Bool = { true }) -> [Float] {
    scheduler.logits(of: sequence, while: proceeds).map { Array($0) } ?? []
  }
}

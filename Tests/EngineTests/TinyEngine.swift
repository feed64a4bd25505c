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
  func stream(_ plan: String = "full") throws -> TokenStream {
    try TokenStream(engine: engine, plan: KVCache.Plan(plan), slotType: .float32)
  }
}

extension TokenStream {
  /// A copy of the logits after all that was appended.
  func copiedLogits() -> [Float] { logits().map { Array($0) } ?? [] }
}

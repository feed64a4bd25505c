import Engine
import Kernels
import TestSupport

extension TinyModel {
  /// The model in memory, exact and with one thread.
  func load(chunk: Int) throws -> LanguageModel.Loaded {
    try withTemporaryDirectory { folder in
      try LanguageModel.Loaded(
        path: write(in: folder), options: LanguageModel.Options(threads: 1, chunk: chunk, exactArithmetic: true))
    }
  }

  /// Tokens of a text without any meaning, the same every time.
  static func tokens(_ count: Int) -> [Int32] {
    var random = SplitMix64(seed: 1)
    return (0..<count).map { _ in Int32.random(in: 3..<Int32(vocabularySize), using: &random) }
  }
}

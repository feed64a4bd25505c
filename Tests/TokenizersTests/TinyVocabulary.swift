import Kernels

@testable import Tokenizers

/// Vocabularies small enough to work out ids by hand.
enum TinyVocabulary {
  /// Byte-level BPE in which byte `b` is token `b` and the merges make tokens 256, 257, …; then come special tokens.
  static func byteLevel(
    _ preTokenizer: String? = "gpt-2", merges: [String] = [], special: [String] = [], userDefined: [String] = []
  ) -> TokenizerDescription {
    let bytes = ByteAlphabet.scalars.map { String(Unicode.Scalar($0)!) }
    let results = merges.map { String($0.filter { $0 != " " }) }
    var description = TokenizerDescription(
      model: "gpt2", preTokenizer: preTokenizer, tokens: bytes + results + special + userDefined)
    description.merges = merges
    description.kinds =
      (bytes + results).map { _ in 1 } + special.map { _ in 3 } + userDefined.map { _ in 4 }
    return description
  }

  /// SentencePiece BPE: `<unk>`, `<s>`, `</s>`, then 256 bytes (byte `b` is token `b + 3`), then pieces from 259 on,
  /// with scores that fall from one to the next.
  static func sentencePiece(_ pieces: [String], hasBytes: Bool = true) -> TokenizerDescription {
    let digits = Array("0123456789ABCDEF")
    let bytes = hasBytes ? (0..<256).map { "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>" } : []
    var description = TokenizerDescription(model: "llama", tokens: ["<unk>", "<s>", "</s>"] + bytes + pieces)
    description.scores = [0, 0, 0] + bytes.map { _ in 0 } + pieces.indices.map { -Float($0) }
    description.kinds = [2, 3, 3] + bytes.map { _ in 6 } + pieces.map { _ in 1 }
    description.beginOfSequence = 1
    description.endOfSequence = 2
    description.unknown = 0
    return description
  }

  /// Text made of what tokenizers stumble over, the same for the same seed.
  static func text(scalars: Int, seed: UInt64) -> String {
    var random = SplitMix64(seed: seed)
    var text = ""
    let fragments = [
      "'s", "'LL", "'re", " don't", "\r\n", "  ", "e\u{301}", "12345", "HTTPServer", "\u{1F469}\u{200D}\u{1F33E}",
    ]
    let pools: [[UInt32]] = [
      Array(0x61...0x7A), Array(0x41...0x5A), [0x20, 0x20, 0x09, 0x0A, 0x0D, 0xA0, 0x3000], Array(0x30...0x39),
      Array(0x21...0x2F), Array(0xC0...0x17F), Array(0x400...0x45F), Array(0x4E00...0x4E40), Array(0x1F600...0x1F640),
      Array(0x300...0x320), Array(0x660...0x669), Array(0...0x1F), Array(0xAC00...0xAC40), Array(0x1100...0x11FF),
    ]
    while text.unicodeScalars.count < scalars {
      if random.below(8) == 0 {
        text += fragments[random.below(fragments.count)]
        continue
      }
      let pool = pools[random.below(pools.count)]
      for _ in 0...random.below(5) { text.unicodeScalars.append(Unicode.Scalar(pool[random.below(pool.count)])!) }
    }
    return text
  }
}

extension SplitMix64 {
  fileprivate mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
}

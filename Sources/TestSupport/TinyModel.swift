import Kernels

/// A Llama of a few thousand random weights with a byte-level BPE vocabulary and ChatML tokens, written as a GGUF file.
///
/// Hidden 32, feed-forward 64, 2 layers, 4 query and 2 KV heads of 8 dimensions. It says nothing sensible, but says it
/// quickly and the same everywhere. The first hidden dimension is the same for every token and no layer writes to it, so
/// the first column of the output matrix acts as a bias: by it the end token comes never, sometimes or at once.
package struct TinyModel: Sendable {
  /// Names of the special tokens, with ids from 0.
  package static let specialTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
  package static let endOfText: Int32 = 0
  package static let startOfMessage: Int32 = 1
  package static let endOfMessage: Int32 = 2

  /// The merges, best first, in the byte alphabet.
  package static let merges = ["t h", "th e", "Ġ the", "i n", "e r", "a n", "Ġ a", "o u", "Ġ s"]

  /// Every token by id: the special ones, the 256 bytes, what the merges make.
  package static let tokens: [String] =
    specialTokens + byteAlphabet.map { String($0) } + merges.map { $0.filter { $0 != " " } }

  package static var vocabularySize: Int { tokens.count }

  package var seed: UInt64 = 1
  /// How matrices are stored; norms are F32.
  package var encoding = ElementEncoding.float32
  package var trainedLength = 128
  /// Added to the logit of `<|im_end|>`, about three-fold; the other special tokens never come.
  package var endBias: Float = -10
  /// Added to the logits of other tokens, about three-fold: a great one makes a token the answer to everything.
  package var biases: [Int32: Float] = [:]
  package var architecture = "llama"

  package init() {}

  package init(
    seed: UInt64 = 1, encoding: ElementEncoding = .float32, trainedLength: Int = 128, endBias: Float = -10,
    biases: [Int32: Float] = [:]
  ) {
    self.seed = seed
    self.encoding = encoding
    self.trainedLength = trainedLength
    self.endBias = endBias
    self.biases = biases
  }

  private static let hidden = 32
  private static let feedForward = 64
  private static let layers = 2
  private static let heads = 4
  private static let keyValueHeads = 2
  private static let headDim = 8

  /// The model as a writer, so that a test can spoil it before it is written.
  package func writer() -> GGUFWriter {
    var writer = GGUFWriter()
    let uint32 = { (value: Int) in GGUFWriter.Value.uint32(UInt32(value)) }
    writer.metadata = [
      ("general.architecture", .string(architecture)),
      ("\(architecture).embedding_length", uint32(Self.hidden)),
      ("\(architecture).feed_forward_length", uint32(Self.feedForward)),
      ("\(architecture).block_count", uint32(Self.layers)),
      ("\(architecture).attention.head_count", uint32(Self.heads)),
      ("\(architecture).attention.head_count_kv", uint32(Self.keyValueHeads)),
      ("\(architecture).context_length", uint32(trainedLength)),
      ("\(architecture).attention.layer_norm_rms_epsilon", .float32(1e-5)),
      ("\(architecture).rope.freq_base", .float32(10_000)),
      ("tokenizer.ggml.model", .string("gpt2")),
      ("tokenizer.ggml.pre", .string("smollm")),
      ("tokenizer.ggml.tokens", .strings(Self.tokens)),
      ("tokenizer.ggml.token_type", .int32s(Self.tokens.indices.map { $0 < Self.specialTokens.count ? 3 : 1 })),
      ("tokenizer.ggml.merges", .strings(Self.merges)),
      ("tokenizer.ggml.bos_token_id", uint32(Int(Self.startOfMessage))),
      ("tokenizer.ggml.eos_token_id", uint32(Int(Self.endOfMessage))),
      ("tokenizer.ggml.add_bos_token", .bool(false)),
    ]
    addTensors(to: &writer)
    return writer
  }

  private func addTensors(to writer: inout GGUFWriter) {
    var random = SplitMix64(seed: seed)
    let (hidden, keyWidth) = (Self.hidden, Self.keyValueHeads * Self.headDim)
    let encoding = encoding
    func matrix(_ name: String, _ rows: Int, _ columns: Int, scale: Float, _ change: (inout [Float]) -> Void = { _ in })
    {
      var values = random.normals(rows * columns, scale: scale)
      change(&values)
      writer.add(name + ".weight", [rows, columns], values, as: encoding)
    }
    func norm(_ name: String) { writer.add(name + ".weight", [hidden], [Float](repeating: 1, count: hidden)) }
    let clearFirstRow = { (values: inout [Float]) in for column in 0..<values.count / hidden { values[column] = 0 } }

    matrix("token_embd", Self.vocabularySize, hidden, scale: 1) { values in
      for row in 0..<Self.vocabularySize { values[row * hidden] = 4 }
    }
    for layer in 0..<Self.layers {
      norm("blk.\(layer).attn_norm")
      matrix("blk.\(layer).attn_q", hidden, hidden, scale: 0.3)
      matrix("blk.\(layer).attn_k", keyWidth, hidden, scale: 0.3)
      matrix("blk.\(layer).attn_v", keyWidth, hidden, scale: 0.3)
      matrix("blk.\(layer).attn_output", hidden, hidden, scale: 0.3, clearFirstRow)
      norm("blk.\(layer).ffn_norm")
      matrix("blk.\(layer).ffn_gate", Self.feedForward, hidden, scale: 0.2)
      matrix("blk.\(layer).ffn_up", Self.feedForward, hidden, scale: 0.2)
      matrix("blk.\(layer).ffn_down", hidden, Self.feedForward, scale: 0.2, clearFirstRow)
    }
    norm("output_norm")
    matrix("output", Self.vocabularySize, hidden, scale: 0.5) { values in
      for row in 0..<Self.vocabularySize { values[row * hidden] = 0 }
      values[Int(Self.endOfText) * hidden] = -10
      values[Int(Self.startOfMessage) * hidden] = -10
      values[Int(Self.endOfMessage) * hidden] = endBias
      for (token, bias) in biases { values[Int(token) * hidden] = bias }
    }
  }

  package func bytes() -> [UInt8] { writer().bytes() }

  /// Writes the file and gives its path.
  @discardableResult
  package func write(to name: String = "tiny.gguf", in folder: String) throws -> String {
    try TestSupport.write(bytes(), to: name, in: folder)
  }

  /// The characters that stand for bytes 0 to 255 in byte-level BPE: printable ones for themselves, the others from
  /// U+0100 on in order.
  private static let byteAlphabet: [Character] = {
    let printable = Set(33...126).union(161...172).union(174...255)
    var next = 256
    return (0..<256).map { byte in
      if !printable.contains(byte) { next += 1 }
      return Character(Unicode.Scalar(printable.contains(byte) ? byte : next - 1) ?? " ")
    }
  }()
}

extension Unicode.Scalar {
  fileprivate init?(_ number: Int) { self.init(UInt32(number)) }
}

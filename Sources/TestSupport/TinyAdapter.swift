import Kernels

/// A random low-rank adapter of `TinyModel` in PEFT's layout: queries, keys, values and attention outputs of both layers.
package struct TinyAdapter: Sendable {
  package var seed: UInt64 = 1
  package var rank = 4
  package var encoding = ElementEncoding.float16
  /// Members of `adapter_config.json` beside its type, as JSON.
  package var config = #""r": 4, "lora_alpha": 8, "bias": "none""#
  /// In place of `"peft_type": "LORA"`.
  package var type = #""peft_type": "LORA""#

  package init() {}

  package init(seed: UInt64 = 1, rank: Int = 4, encoding: ElementEncoding = .float16) {
    self.seed = seed
    self.rank = rank
    self.encoding = encoding
  }

  /// Names of the layers' modules with their rows; all have 32 columns.
  private static let modules = [("q_proj", 32), ("k_proj", 16), ("v_proj", 16), ("o_proj", 32)]

  package static func name(_ layer: Int, _ module: String, _ factor: String) -> String {
    "base_model.model.model.layers.\(layer).self_attn.\(module).lora_\(factor).weight"
  }

  /// The tensors as a writer, so that a test can spoil them before they are written.
  package func writer() -> SafetensorsWriter {
    var random = SplitMix64(seed: seed)
    var writer = SafetensorsWriter()
    for layer in 0..<2 {
      for (module, rows) in Self.modules {
        writer.add(
          Self.name(layer, module, "A"), [rank, 32], random.normals(rank * 32, scale: 0.2), as: encoding)
        writer.add(
          Self.name(layer, module, "B"), [rows, rank], random.normals(rows * rank, scale: 0.2), as: encoding)
      }
    }
    return writer
  }

  /// The same tensors under GGUF's names, for a model whose queries and keys are not interleaved.
  package func ggufWriter(alpha: Float = 8) -> GGUFWriter {
    var writer = GGUFWriter()
    writer.metadata = [
      ("general.architecture", .string("llama")), ("general.type", .string("adapter")),
      ("adapter.type", .string("lora")), ("adapter.lora.alpha", .float32(alpha)),
    ]
    var random = SplitMix64(seed: seed)
    let names = ["q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"]
    for layer in 0..<2 {
      for (module, rows) in Self.modules {
        let name = "blk.\(layer).\(names[module] ?? module).weight"
        writer.add(name + ".lora_a", [rank, 32], random.normals(rank * 32, scale: 0.2), as: encoding)
        writer.add(name + ".lora_b", [rows, rank], random.normals(rows * rank, scale: 0.2), as: encoding)
      }
    }
    return writer
  }

  /// Writes the directory and gives its path.
  @discardableResult
  package func write(
    to name: String = "adapter", in folder: String, tensors: SafetensorsWriter? = nil
  ) throws -> String {
    try makeDirectory(name, in: folder)
    try TestSupport.write("{\(type), \(config)}", to: "adapter_config.json", in: folder + "/" + name)
    try TestSupport.write(
      (tensors ?? writer()).bytes(), to: "adapter_model.safetensors", in: folder + "/" + name)
    return folder + "/" + name
  }
}

import TestSupport

/// A GGUF file with every value type, nested arrays and every type of tensor that can be read, and one that cannot.
func sampleGGUF(alignment: Int = 32) -> GGUFWriter {
  var writer = GGUFWriter()
  writer.alignment = alignment
  writer.metadata = [
    ("general.architecture", .string("llama")), ("general.alignment", .uint32(UInt32(alignment))),
    ("u8", .uint8(255)), ("i8", .int8(-128)), ("u16", .uint16(65535)), ("i16", .int16(-32768)),
    ("u32", .uint32(.max)), ("i32", .int32(.min)), ("u64", .uint64(1 << 62)), ("i64", .int64(.min)),
    ("huge", .uint64(.max)), ("f32", .float32(0.1)), ("f64", .float64(0.1)), ("yes", .bool(true)), ("no", .bool(false)),
    ("empty", .string("")), ("text", .string("caf\u{e9}\n\u{1F600}")),
    ("tokens", .strings(["<s>", "", "\u{2581}the", "e\u{301}", "\u{e9}"])), ("scores", .floats([0, -1.5, 2.25])),
    ("types", .int32s([1, -2, 3])), ("flags", .bools([true, false])), ("none", .strings([])),
    (
      "nested",
      .array(
        elementType: 9, [.array(elementType: 9, [.strings(["a"])]), .array(elementType: 9, []), .int32s([7])])
    ),
  ]
  writer.add("norm.weight", [5], [1, -2, 0.5, 3e-5, 65504], as: .float32)
  writer.add("half.weight", [2, 3], [1, -2, 0.5, 0.0999755859375, 65504, 0x1p-24], as: .float16)
  writer.add("brain.weight", [3, 2], [1, -2, 0.5, 3.140625, -0x1p100, 0x1p-100], as: .bfloat16)
  let ramp = (0..<128).map { Float($0) / 8 - 6 }
  writer.add("blk.0.q8.weight", [2, 64], ramp, as: .q8_0)
  writer.add("blk.0.q4.weight", [2, 2, 32], ramp, as: .q4_1)
  writer.add("blk.0.experts.weight", [2, 3, 32], type: 39, data: [UInt8](repeating: 7, count: 102))
  writer.add("blk.0.attn_k.weight", [1, 256], type: 23, data: [UInt8](repeating: 7, count: 136))
  writer.add("blk.0.attn_q.weight", [1, 256], type: 22, data: [UInt8](repeating: 7, count: 82))
  return writer
}

/// A safetensors file with every type that can be read and some that cannot.
func sampleSafetensors() -> SafetensorsWriter {
  var writer = SafetensorsWriter()
  writer.metadata = [("format", "pt")]
  writer.add("model.norm.weight", [5], [1, -2, 0.5, 3e-5, 65504], as: .float32)
  writer.add("model.half.weight", [2, 3], [1, -2, 0.5, 0.0999755859375, 65504, 0x1p-24], as: .float16)
  writer.add("model.brain.weight", [3, 2], [1, -2, 0.5, 3.140625, -0x1p100, 0x1p-100], as: .bfloat16)
  writer.add("model.mask", [3], dtype: "BOOL", data: [1, 0, 1])
  writer.add("model.scale", [], [0.25], as: .float32)
  return writer
}

let sampleConfig = """
  {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "rms_norm_eps": 1e-05, "tie_word_embeddings": true,
   "rope_scaling": {"type": "linear", "factor": 2.5, "deep": {"er": 1}}, "sliding_window": null, "a.b": 3,
   "eos_token_id": [1, 2], "rope_theta": 10000.0}
  """

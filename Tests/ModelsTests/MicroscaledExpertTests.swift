import Foundation
import ModelJSON
import Models
import TestSupport
import Testing
import Weights

/// Experts in MXFP4 of a Hugging Face directory, whose bytes are ordered otherwise than GGUF's.
struct MicroscaledExpertTests {
  private static let model = "gpt-oss-mxfp4"

  @Test func `are those of the GGUF file bit for bit`() throws {
    let ids = try GoldenLogitsTests.golden(of: Self.model)["ids"]!.tokens
    let runners = try [Self.model, Self.model + ".gguf"].map { try ModelRunner(Golden.path($0)) }
    let logits = try runners.map { $0.logits(ids, memory: try $0.makeReference()) }
    #expect(logits[0] == logits[1])
    #expect(runners[0].model.weightBytes == runners[1].model.weightBytes)
    #expect(runners[0].model.layerWeights == runners[1].model.layerWeights)
  }

  @Test(
    "a damaged tensor is named",
    arguments: [
      ("gate_up_proj_scales\"", "gate_up_proj_scalez\"", "gate_up_proj_scales"),
      ("\"dtype\":\"U8\",\"shape\":[4,192,2]", "\"dtype\":\"I8\",\"shape\":[4,192,2]", "I8"),
      ("\"shape\":[4,192,2,16]", "\"shape\":[4,192,16,2]", "[4, 192, 16, 2]"),
      ("\"shape\":[4,64,3]", "\"shape\":[4,3,64]", "[4, 3, 64]"),
    ])
  func damaged(old: String, new: String, message: String) throws {
    try withTemporaryDirectory { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: Golden.path(Self.model), toPath: copy)
      let url = URL(filePath: copy + "/model.safetensors")
      var data = try Data(contentsOf: url)
      let range = try #require(data.range(of: Data(old.utf8)))
      data.replaceSubrange(range, with: Data(new.utf8))
      try data.write(to: url)
      do {
        _ = try ModelRunner(copy)
        #expect(Bool(false), "\(new) was taken")
      } catch {
        let text = "\(error)"
        #expect(text.contains(message) && text.contains(copy) && !text.contains("\n"), "\(text)")
      }
    }
  }
}

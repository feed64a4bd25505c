import Foundation
import HubTestSupport
import ModelHub
import TestSupport
import Testing

/// Which file a name means, by what file names tell.
@Suite struct ModelSelectionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let files: [String]
    let asked: String?
    /// The first file that comes; nil where a line lists what there is.
    let file: String?
    /// The name it is known by then, or what the line says.
    let says: [String]
    var testDescription: String { "\(asked ?? "nothing") of \(files.joined(separator: " "))" }

    init(_ files: String, _ asked: String?, _ file: String?, _ says: String...) {
      self.files = files.split(separator: " ").map(String.init)
      self.asked = asked
      self.file = file
      self.says = says
    }
  }

  private static let many =
    "L-Q2_K.gguf L-Q4_0.gguf L-Q4_K_M.gguf L-Q4_K_S.gguf L-IQ4_XS.gguf L-f16.gguf L-UD-Q2_K_XL.gguf"

  @Test(arguments: [
    Case(many, nil, "L-Q4_K_M.gguf", "Q4_K_M"), Case(many, "Q4_K_S", "L-Q4_K_S.gguf", "Q4_K_S"),
    Case(many, "q4_k_s", "L-Q4_K_S.gguf", "Q4_K_S"), Case(many, "F16", "L-f16.gguf", "F16"),
    Case(many, "Q2_K", "L-Q2_K.gguf", "Q2_K"), Case(many, "UD-Q2_K_XL", "L-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"),
    Case(many, "Q2_K_XL", "L-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"), Case(many, "IQ4_XS", "L-IQ4_XS.gguf", "IQ4_XS"),
    Case(many, "L-f16.gguf", "L-f16.gguf", "F16"), Case(many, "l-q4_0", "L-Q4_0.gguf", "Q4_0"),
    Case(many, "Q4_K", nil, "has no Q4_K", "Q2_K, Q4_0, Q4_K_M, Q4_K_S", "UD-Q2_K_XL"),
    Case(many, "Q9", nil, "has no Q9", "IQ4_XS"), Case(many, "safetensors", nil, "has no safetensors"),
    Case("a-Q8_0.gguf b-Q4_0.gguf", nil, "b-Q4_0.gguf", "Q4_0"),
    Case("b-Q8_0.gguf a-Q5_0.gguf", nil, "a-Q5_0.gguf", "Q5_0"),
    Case("ggml-model-q4_0.gguf", nil, "ggml-model-q4_0.gguf", "Q4_0"),
    Case("m_7b_q5_1.gguf", "Q5_1", "m_7b_q5_1.gguf", "Q5_1"),
    Case("M.Q4_1.gguf M.Q8_0.gguf", "q8_0", "M.Q8_0.gguf", "Q8_0"), Case("only.gguf", nil, "only.gguf", "only"),
    Case("oss-mxfp4.gguf", nil, "oss-mxfp4.gguf", "MXFP4"), Case("a/M-Q8_0.gguf", "q8_0", "a/M-Q8_0.gguf", "Q8_0"),
    Case("small-Q4_K_M.gguf big-Q4_K_M.gguf", nil, nil, "fits several", "big-Q4_K_M, small-Q4_K_M"),
    Case("small-Q4_K_M.gguf big-Q4_K_M.gguf", "Q4_K_M", nil, "'Q4_K_M' fits several"),
    Case("small-Q4_K_M.gguf big-Q4_K_M.gguf", "big-Q4_K_M", "big-Q4_K_M.gguf", "big-Q4_K_M"),
    Case("mmproj-F16.gguf imatrix_x.gguf M-Q8_0.gguf", "F16", nil, "has no F16", "it has Q8_0"),
    Case("mmproj-F16.gguf", nil, nil, "nothing to run"), Case("README.md config.json", nil, nil, "nothing to run"),
    Case("config.json model.safetensors", nil, "config.json", "safetensors"),
    Case("config.json model.safetensors", "Q4_0", nil, "has no Q4_0", "safetensors"),
    Case("config.json model.safetensors M-Q8_0.gguf", nil, "M-Q8_0.gguf", "Q8_0"),
    Case("config.json model.safetensors M-Q8_0.gguf", "safetensors", "config.json", "safetensors"),
    Case("config.json model.safetensors M-Q8_0.gguf", "Q2_K", nil, "it has Q8_0, safetensors"),
  ])
  func `a name chooses`(choice: Case) throws {
    let files = Dictionary(uniqueKeysWithValues: choice.files.map { ($0, Array($0.utf8)) })
    try PullSubject.with(files) { (subject) throws in
      let name = HubServer.repository + (choice.asked.map { ":" + $0 } ?? "")
      guard let file = choice.file else {
        let error = #expect(throws: HubError.self) { try subject.pull(name) }
        let line = String(describing: try #require(error))
        for part in choice.says { #expect(line.contains(part), "\(line)") }
        return
      }
      let model = try subject.pull(name).model
      #expect(model.name == HubServer.repository + ":" + choice.says[0])
      #expect(FileManager.default.fileExists(atPath: subject.repositoryFolder + "/" + file))
      // The same words find it again without the hub, and so does the name that it has now.
      let asked = subject.hub.requestCount
      for again in [name, model.name] {
        #expect(try subject.pull(again).model == model)
        #expect(try subject.store.model(#require(ModelName(again)), cache: subject.cache) == model)
      }
      #expect(subject.hub.requestCount == asked)
    }
  }

  @Test(arguments: [
    ("o/r", "o", "r", nil), ("o/r:Q4_0", "o", "r", "Q4_0"), ("hf.co/o/r.GGUF:q", "o", "r.GGUF", "q"),
    ("https://huggingface.co/a-b/c_d.1", "a-b", "c_d.1", nil), ("o/r:sub/file", "o", "r", "sub/file"),
  ])
  func `names are read`(text: String, owner: String, repository: String, quantization: String?) throws {
    #expect(ModelName(text) == ModelName(owner: owner, repository: repository, quantization: quantization))
  }

  @Test(arguments: [
    "", "r", "o/", "/r", "o/r/x", "o//r", "../r", "o/..", "o/.r", ".o/r", "-o/r", "o/r:", "o/r:..", "o/r:../x",
    "o/r:/x",
    "o/r\0", "o/r s", "o\\r/x", "ö/r", "o/r:a//b", "https://example.com/o/r", String(repeating: "x", count: 97) + "/r",
  ])
  func `what is no name is refused`(text: String) {
    #expect(ModelName(text) == nil)
  }
}

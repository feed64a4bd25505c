import ModelJSON
import TestSupport
import Testing
import Weights

@testable import Engine

@Suite("A model's own sampling") struct SamplingDefaultsTests {
  @Test("is read from generation_config.json, and what no sampler can use counts as not given")
  func generationConfiguration() throws {
    let cases: [(json: String, expected: SamplingOptions)] = [
      ("{}", SamplingOptions()),
      (#"{"temperature": 0.6, "top_p": 0.9, "top_k": 20}"#, SamplingOptions(temperature: 0.6, topK: 20, topP: 0.9)),
      (#"{"do_sample": false, "temperature": 0.6}"#, SamplingOptions(temperature: 0)),
      (
        #"{"do_sample": true, "min_p": 0.1, "repetition_penalty": 1.05}"#,
        SamplingOptions(minP: 0.1, repetitionPenalty: 1.05)
      ),
      (#"{"temperature": -1, "top_p": 0, "top_k": -5, "min_p": 2, "repetition_penalty": 0}"#, SamplingOptions()),
      (#"{"temperature": "hot", "top_k": 2.5}"#, SamplingOptions()),
    ]
    for (json, expected) in cases {
      let value = try JSONValue(parsing: Array(json.utf8))
      #expect(SamplingDefaults(generationConfiguration: value).options == expected, "\(json)")
    }
  }

  @Test("is read from a GGUF file's general.sampling")
  func gguf() throws {
    try withTemporaryDirectory { folder in
      var writer = TinyModel().writer()
      writer.metadata += [
        ("general.sampling.temp", .float32(0.5)), ("general.sampling.top_k", .uint32(7)),
        ("general.sampling.top_p", .float32(0.25)), ("general.sampling.min_p", .float32(9)),
      ]
      let path = try write(writer.bytes(), to: "tiny.gguf", in: folder)
      let defaults = try SamplingDefaults(of: try WeightFile.open(path))
      #expect(defaults.options == SamplingOptions(temperature: 0.5, topK: 7, topP: 0.25))
    }
  }
}

import Engine
import Foundation
import InfiniSmall
import KVCaches
import Kernels
import ModelJSON
import Models
import Testing

/// The model that ships against PyTorch on the same weights (`make ship` in Training): 64 segments of random tokens.
@Suite struct InfiniSmallLogitsTests {
  private let ids: [Int32]
  /// Some logits after some tokens: `[token: [index: logit]]`.
  private let expected: [Int: [Int: Float]]
  private let engine: InferenceEngine

  init() throws {
    let golden = try #require(Bundle.module.url(forResource: "Golden/logits", withExtension: "json"))
    let json = try JSONValue(parsing: [UInt8](Data(contentsOf: golden)))
    ids = (json["ids"]?.array ?? []).compactMap { $0.double.map { Int32($0) } }
    var expected: [Int: [Int: Float]] = [:]
    for (token, logits) in try #require(json["logits"]?.object) {
      for (index, value) in logits.object ?? JSONObject() {
        expected[Int(token) ?? -1, default: [:]][Int(index) ?? -1] = Float(value.double ?? .nan)
      }
    }
    self.expected = expected
    let options = LanguageModel.Options(threads: 1, exactArithmetic: true)
    engine = try LanguageModel.Loaded(path: InfiniSmall.path, options: options).engine
  }

  @Test("logits within 1e-4, in chunks and token by token", arguments: [512, 1])
  func logits(chunk: Int) throws {
    #expect(ids.count == 4_096 && expected.count == 69)
    let plan = try KVCache.Plan("infini", resolver: .none.model(engine.model.configuration.memory))
    let cache = try engine.makeCache(plan, slotType: .float32)
    var (seen, largest) = (0, Float(0))
    for first in stride(from: 0, to: ids.count, by: chunk) {
      let part = Array(ids[first..<min(first + chunk, ids.count)])
      engine.feed(part, cache: cache) { range in
        for row in range {
          guard let wanted = expected[first + row] else { continue }
          let logits = engine.logits(row: row - range.lowerBound)
          for (index, value) in wanted {
            let error = abs(logits[index] - value) / max(1, abs(value))
            largest = error.isFinite ? max(largest, error) : .infinity
          }
          seen += 1
        }
        return true
      }
    }
    #expect(seen == expected.count && largest < 1e-4, "\(largest)")
  }
}

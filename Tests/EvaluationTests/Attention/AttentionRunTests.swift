import Engine
import Evaluation
import Foundation
import KVCaches
import ModelJSON
import Models
import TestSupport
import Testing

@Suite struct AttentionRunTests {
  private static func load(chunk: Int = 512) throws -> InferenceEngine { try TinyModel().load(chunk: chunk).engine }

  private static let ids = TinyModel.tokens(200)

  private func run(
    _ plan: String, _ engine: InferenceEngine, last: Int, at positions: [Int]
  ) throws -> [AttentionMeasurement] {
    let run = try AttentionRun(
      engine: engine, plan: KVCache.Plan(plan), name: plan, slotType: .float32, last: last, tokens: Self.ids.count,
      memory: 1 << 30)
    return positions.map { position in
      var steps = 0
      let measurement = run.measure(at: position, of: Self.ids) { steps += 1 }
      #expect(run.position == position && steps > 0)
      #expect(measurement.cache == plan && measurement.position == position && measurement.isFinite)
      return measurement
    }
  }

  @Test func `a full cache beside itself errs nowhere and holds everything`() throws {
    for measurement in try run("full", Self.load(chunk: 30), last: 20, at: [1, 15, 33, 200]) {
      #expect(measurement.error == 0 && measurement.mass == 1)
      #expect(measurement.last == min(20, measurement.position))
      #expect(measurement.layers.count == 2)
      for layer in measurement.layers {
        #expect(layer.held == Array(repeating: Array(0..<measurement.position), count: 2))
        #expect(layer.masses == [1, 1] && layer.headErrors == [0, 0, 0, 0])
      }
    }
  }

  @Test(arguments: ["window:16", "streaming-llm:4+12", "streaming-llm:3+90"])
  func `the mass is the share of the probabilities in Float64`(plan: String) throws {
    let engine = try Self.load()
    let recording = try RecordingAttention(Self.ids, engine: engine)
    let (sinks, size) =
      ["window:16": (0, 16), "streaming-llm:4+12": (4, 12), "streaming-llm:3+90": (3, 90)][plan] ?? (0, 0)
    for measurement in try run(plan, engine, last: 8, at: [10, 40, 41, 199]) {
      let position = measurement.position
      let recent = max(sinks, position - size)
      let held = position <= sinks + size ? Array(0..<position) : Array(0..<sinks) + Array(recent..<position)
      for (index, layer) in measurement.layers.enumerated() {
        #expect(layer.held == [held, held])
        for head in 0..<2 {
          let shares = (2 * head..<2 * head + 2).map { queryHead in
            let probabilities = recording.probabilities(
              layer: index, queryHead: queryHead, position: position - 1, of: Array(0..<position))
            return held.reduce(0) { $0 + probabilities[$1] }
          }
          #expect(abs(layer.masses[head] - shares.reduce(0, +) / 2) < 1e-4, "\(plan) at \(position)")
        }
      }
    }
  }

  /// A window's distances are those in the stream, so its output is the definition's over fewer tokens.
  @Test func `the error is that of the outputs in Float64`() throws {
    let engine = try Self.load()
    let recording = try RecordingAttention(Self.ids, engine: engine)
    let measurement = try #require(try run("window:16", engine, last: 8, at: [90, 93]).last)
    for (index, layer) in measurement.layers.enumerated() {
      var headErrors = [Double](repeating: 0, count: 4)
      var error = 0.0
      for position in 85..<93 {
        var (difference, norm) = (0.0, 0.0)
        for head in 0..<4 {
          let expected = recording.output(layer: index, queryHead: head, position: position, of: Array(0...position))
          let output = recording.output(
            layer: index, queryHead: head, position: position, of: Array(position - 15...position))
          let headDifference = zip(output, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
          let headNorm = expected.reduce(0) { $0 + $1 * $1 }
          headErrors[head] += (headDifference / headNorm).squareRoot() / 8
          difference += headDifference
          norm += headNorm
        }
        error += (difference / norm).squareRoot() / 8
      }
      #expect(error > 0.01 && abs(layer.error - error) < 1e-3 * error)
      for head in 0..<4 { #expect(abs(layer.headErrors[head] - headErrors[head]) < 1e-3 * headErrors[head]) }
    }
  }

  /// The text is shorter than the window under which the model reads, so the model sees all of it.
  @Test(arguments: [0, 1], [1, 7, 512])
  func `one layer alone is compared without positions`(layer: Int, chunk: Int) throws {
    let engine = try Self.load(chunk: chunk)
    let recording = try RecordingAttention(Self.ids, engine: Self.load())
    for plan in ["full", "window:16"] {
      let run = try AttentionRun(
        engine: engine, plan: KVCache.Plan(plan), name: plan, slotType: .float32, last: 8, tokens: Self.ids.count,
        memory: 1 << 30, clusters: 5, layer: layer)
      for position in [40, 93] {
        let measurement = run.measure(at: position, of: Self.ids)
        #expect(measurement.layers.count == 1 && run.geometry.count == 1)
        for head in 0..<4 {
          let errors = (position - 8..<position).map { position in
            let first = plan == "full" ? 0 : max(0, position - 15)
            let output = { (tokens: [Int]) in
              recording.output(
                layer: layer, queryHead: head, position: position, of: tokens, hasPositions: false)
            }
            let (expected, actual) = (output(Array(0...position)), output(Array(first...position)))
            let difference = zip(actual, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            return (difference / expected.reduce(0) { $0 + $1 * $1 }).squareRoot()
          }
          let error = errors.reduce(0, +) / 8
          #expect(
            abs(measurement.layers[0].headErrors[head] - error) < 1e-3 * error + 1e-5,
            "\(plan) at \(position), head \(head)")
        }
      }
    }
  }

  @Test func `positions do not depend on those before them`() throws {
    let engine = try Self.load()
    let all = try run("streaming-llm:4+12", engine, last: 10, at: [50, 55, 100])
    for (measurement, position) in zip(all, [50, 55, 100]) {
      let alone = try #require(try run("streaming-llm:4+12", engine, last: 10, at: [position]).first)
      #expect(alone.layers.map(\.held) == measurement.layers.map(\.held))
      #expect(abs(alone.error - measurement.error) < 1e-5 && abs(alone.mass - measurement.mass) < 1e-5)
    }
  }

  @Test(arguments: ["cascading:24/3", "h2o:20", "tova:18"])
  func `heads that choose by score hold tokens of their own`(plan: String) throws {
    let measurement = try #require(try run(plan, Self.load(chunk: 16), last: 30, at: [150]).first)
    let capacity = try #require(try KVCache.Plan(plan).capacity)
    for layer in measurement.layers {
      for held in layer.held {
        #expect(held.count == capacity + 1 && held.last == 149 && held == Set(held).sorted())
      }
    }
    #expect(Set(measurement.layers.flatMap(\.held)).count > 1)
    #expect(measurement.mass > 0 && measurement.mass < 1 && measurement.error > 0)
  }

  @Test func `what does not fit the memory is refused`() throws {
    let engine = try Self.load()
    #expect(throws: KVCacheError.self) {
      try AttentionRun(
        engine: engine, plan: KVCache.Plan("window:16"), name: "window:16", slotType: .float32, last: 8,
        tokens: 1 << 24, memory: 1 << 20)
    }
  }

  @Test func `the JSON names runs of tokens`() throws {
    let measurement = AttentionMeasurement(
      cache: "tiny", position: 9, last: 4,
      layers: [
        .init(held: [[0, 1, 2, 5, 7, 8], [8]], error: 0.5, headErrors: [0.25, 0.75], masses: [1, 0.5]),
        .init(held: [[], [3]], error: 0.25, headErrors: [0, 0], masses: [0, 0.5]),
      ])
    #expect(
      measurement.json == [
        "cache": "tiny", "position": 9, "last": 4, "error": 0.375, "mass": 0.5,
        "layers": [
          [
            "error": 0.5, "mass": 0.75, "headErrors": [0.25, 0.75], "masses": [1.0, 0.5],
            "held": [[[0, 2], [5, 5], [7, 8]], [[8, 8]]],
          ],
          ["error": 0.25, "mass": 0.25, "headErrors": [0.0, 0.0], "masses": [0.0, 0.5], "held": [[], [[3, 3]]]],
        ],
      ])
  }
}

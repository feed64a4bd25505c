import Evaluation
import Foundation
import ModelJSON
import Simulation

/// Measured times of a step as a JSON file.
struct CurvesFile {
  let model: String
  let threads: Int
  let instructionSet: String
  let times: MeasuredTimes
  let layers: Int

  private static let version = 1

  var json: JSONValue {
    let numbers = { (values: [Double]) in JSONValue.array(values.map { JSONValue($0) }) }
    return [
      "version": JSONValue(Self.version), "model": JSONValue(model), "threads": JSONValue(threads),
      "instructionSet": JSONValue(instructionSet), "layers": JSONValue(layers), "batches": numbers(times.batches),
      "lengths": numbers(times.lengths), "modelSeconds": numbers(times.modelSeconds),
      "attentionSeconds": .array(times.attentionSeconds.map(numbers)),
    ]
  }

  init(model: String, threads: Int, instructionSet: String, layers: Int, times: MeasuredTimes) {
    self.model = model
    self.threads = threads
    self.instructionSet = instructionSet
    self.layers = layers
    self.times = times
  }

  /// - Throws: `CommandError` where a file is none, or says nothing that can be simulated.
  init(path: String) throws(CommandError) {
    // Curves are some hundred numbers.
    guard let data = FileManager.default.contents(atPath: path) else { throw CommandError("\(path): cannot be read") }
    guard data.count < 1 << 20, let json = try? JSONValue(parsing: [UInt8](data)) else {
      throw CommandError("\(path): is no file of curves, which 'sluice simulate calibrate' writes")
    }
    let numbers = { (value: JSONValue?) in (value?.array ?? []).compactMap(\.double) }
    guard json["version"]?.integer == Self.version, json["batches"]?.array?.count ?? 0 > 1,
      let layers = json["layers"]?.integer,
      (1...1 << 16).contains(layers),
      let times = MeasuredTimes(
        batches: numbers(json["batches"]), lengths: numbers(json["lengths"]),
        modelSeconds: numbers(json["modelSeconds"]),
        attentionSeconds: (json["attentionSeconds"]?.array ?? []).map { numbers($0) })
    else { throw CommandError("\(path): has no curves of two rising batches and lengths or more") }
    self.init(
      model: json["model"]?.string ?? "", threads: json["threads"]?.integer ?? 0,
      instructionSet: json["instructionSet"]?.string ?? "", layers: layers, times: times)
  }
}

import Foundation
import TestSupport
import Testing

/// What `evaluate offload` prints, and sessions of `run`, with workers of their own.
@Suite struct OffloadCommandTests {
  @Test func `a row has a network, batches, what was measured and the formula`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      let worker = try WorkerProcess(in: folder)
      defer { worker.end() }
      let result = try Sluice.run(
        ["evaluate", "offload", "-m", model, "-t", "1", "--sequences", "3", "--depth", "5", "--decode", "2"]
          + ["--rounds", "1", "--latencies", "0,500", "--rates", "100", "--json"] + worker.options)
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      let rows = try result.output.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(rows.compactMap { $0["batches"] as? Int } == [1, 2, 1, 2, 1, 2])
      #expect(rows.map { $0["latencySeconds"] as? Double } == [0, 0, 0.0005, 0.0005, 0, 0])
      for row in rows {
        for key in ["stepSeconds", "formulaSeconds", "roundTripSeconds", "modelSeconds", "waitingSeconds", "bytesSent"]
        {
          let value = try #require(row[key] as? Double, "\(key)")
          #expect(value > 0 && value.isFinite, "\(key)")
        }
      }
      // Every exchange waits for its answer at least as long as the network takes.
      let layers = 2.0
      let step = try #require(rows[2]["stepSeconds"] as? Double)
      #expect(step >= layers * 0.001 && rows[2]["exceedsAlpha"] as? Bool == true)
    }
  }

  @Test(arguments: ["full", "streaming-llm:4+28", "h2o:32"])
  func `a session goes on with its memory on workers, on others, and in the process`(cache: String) throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel(endBias: -40).write(in: folder)
      let workers = try ["a", "b"].map { try WorkerProcess(in: folder, $0) }
      defer { for worker in workers { worker.end() } }
      let sluice = { (arguments: [String]) in
        try Sluice.run(
          ["run", "-m", model, "-t", "1", "--temp", "0", "--speculate", "off"] + arguments,
          environment: ["SLUICE_SESSIONS": folder + "/sessions.sluice"])
      }
      let whole = try sluice(["--cache", cache, "-p", "Hello", "-n", "50"])
      let both = [
        "--workers", workers.map(\.address).joined(separator: ","), "--worker-key", workers[0].key, "--partition",
      ]
      var text = ""
      for (part, options) in [both + ["heads"], both + ["requests"], workers[0].options, [], both + ["heads"]]
        .enumerated()
      {
        let more = part == 0 ? ["--cache", cache, "-p", "Hello"] : []
        let result = try sluice(["--session", "diary", "-n", "10"] + more + options)
        #expect(result.status == 0 && result.errorLines.count == 1, "\(result.error)")
        #expect(result.error.contains(part == 0 ? "'diary' begins" : "'diary' goes on after"), "\(result.error)")
        text += result.output.dropLast()
      }
      // Characters that are cut between two runs come out otherwise.
      let plain = { (text: String) in text.unicodeScalars.filter(\.isASCII).map { Character($0) } }
      #expect(plain(text) == plain(String(whole.output.dropLast())))
    }
  }
}

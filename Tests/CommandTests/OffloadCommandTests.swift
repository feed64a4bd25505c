import Foundation
import TestSupport
import Testing

/// What `evaluate offload` prints, with a worker of its own.
@Suite struct OffloadCommandTests {
  @Test func `a row has a network, batches, what was measured and the formula`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      let script = """
        echo 0123456789abcdef > key
        "$0" worker --listen unix:\(folder)/w --key key -t 1 > /dev/null 2> worker.log & worker=$!
        tries=0; while [ ! -S w ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
        "$0" evaluate offload -m '\(model)' -t 1 --workers unix:\(folder)/w --worker-key key --sequences 3 --depth 5 --decode 2 \
          --rounds 1 --latencies 0,500 --rates 100 --json
        status=$?; kill $worker; exit $status
        """
      let result = try Sluice.runInShell(script, directory: folder)
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      let rows = try result.output.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(rows.compactMap { $0["batches"] as? Int } == [1, 2, 1, 2, 1, 2])
      #expect(rows.compactMap { $0["latencySeconds"] as? Double } == [0, 0, 0.0005, 0.0005, 0, 0])
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
}

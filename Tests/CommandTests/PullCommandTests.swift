import Foundation
import HubTestSupport
import TestSupport
import Testing

/// `sluice pull`, `models` and `rm` as users type them, against a hub on this machine.
@Suite struct PullCommandTests {
  private func environment(_ folder: String) -> [String: String] {
    ["SLUICE_MODELS": folder + "/models", "HF_HOME": folder + "/hf"]
  }

  @Test func `what is pulled runs without the hub, is listed, and goes when it is told to`() throws {
    try withTemporaryDirectory { folder in
      let environment = environment(folder)
      let path = folder + "/models/tester/tiny/tiny-Q8_0.gguf"
      let run = { (arguments: [String]) in try Sluice.run(arguments, environment: environment) }
      let model = TinyModel().bytes()
      let hub = try HubServer(["tiny-Q8_0.gguf": model])
      let before = try run(["run", "-m", "tester/tiny", "-p", "a", "-n", "1"])
      #expect(before.status == 1 && before.errorLines.count == 1 && before.error.contains("sluice pull tester/tiny"))
      let pulled = try run(["pull", "--endpoint", hub.endpoint, "tester/tiny"])
      #expect(pulled.status == 0 && pulled.output == path + "\n", "\(pulled)")
      #expect(pulled.errorLines.last?.contains("tester/tiny:Q8_0") == true && pulled.error.contains("is here now"))
      // No hub answers at this address any more than at Hugging Face's.
      let again = try run(["pull", "--endpoint", "http://127.0.0.1:1", "tester/tiny"])
      #expect(
        again.status == 0 && again.output == pulled.output && again.error.contains("was here already"), "\(again)")
      let json = try run(["pull", "--json", "tester/tiny:q8_0"]).output
      #expect(json.contains("\"wasHere\": true") && json.contains("\"bytes\": \(model.count)"), "\(json)")
      for name in ["tester/tiny", "tester/tiny:Q8_0", "hf.co/tester/tiny:q8_0"] {
        let inspected = try run(["inspect", "-m", name])
        #expect(inspected.status == 0 && inspected.output.contains(path), "\(inspected)")
      }
      let written = try run(["run", "-m", "tester/tiny", "-p", "a", "-n", "1"])
      #expect(written.status == 0, "\(written)")
      let listed = try run(["models"])
      #expect(listed.output.contains("tester/tiny:Q8_0") && listed.output.contains("fits"), "\(listed)")
      let list = try run(["models", "--json"]).output
      #expect(list.contains("\"fits\": true") && list.contains("\"place\": \"pulled\""), "\(list)")
      let removed = try run(["rm", "tester/tiny"])
      #expect(removed.status == 0 && removed.output.hasPrefix("removed tester/tiny:Q8_0"), "\(removed)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/models/tester"))
      let empty = try run(["models"])
      #expect(empty.status == 0 && empty.output.isEmpty && empty.error.contains("sluice pull"), "\(empty)")
      let gone = try run(["rm", "tester/tiny"])
      #expect(gone.status == 1 && gone.errorLines.count == 1, "\(gone)")
    }
  }

  @Test func `a hub that is not there, and a name that leads elsewhere, are one line`() throws {
    try withTemporaryDirectory { folder in
      for (arguments, says) in [
        (["pull", "--endpoint", "http://127.0.0.1:1", "a/b"], "127.0.0.1 cannot be reached"),
        (["pull", "--endpoint", "ftp://x", "a/b"], "no address of a hub"),
        (["rm", "../models"], "no name of a model"), (["rm", ".."], "no name of a model"),
      ] {
        let result = try Sluice.run(arguments, environment: environment(folder))
        #expect(result.status == 1 && result.errorLines.count == 1 && result.error.contains(says), "\(result)")
      }
    }
  }

  @Test func `a file that may not grow ends in one line, and the next pull goes on`() throws {
    try withTemporaryDirectory { (folder) throws in
      let bytes = [UInt8](repeating: 7, count: 1_000_000)
      let hub = try HubServer(["tiny-Q8_0.gguf": bytes])
      // 100 blocks of 512 or 1024 bytes.
      let pull = "SLUICE_MODELS=models HF_HOME=hf \"$0\" pull --endpoint \(hub.endpoint) tester/tiny"
      let cut = try Sluice.runInShell("ulimit -f 100; " + pull, directory: folder)
      #expect(cut.status == 1 && !cut.crashed, "\(cut)")
      #expect(cut.errorLines.last?.contains("file too large") == true, "\(cut)")
      let whole = try Sluice.runInShell(pull, directory: folder)
      #expect(whole.status == 0, "\(whole)")
      #expect(hub.store.requests.last?.fields["range"]?.hasPrefix("bytes=") == true)
      #expect(try Data(contentsOf: URL(filePath: folder + "/models/tester/tiny/tiny-Q8_0.gguf")) == Data(bytes))
    }
  }

  @Test func `Ctrl-C ends a pull in one line, and the next one goes on`() throws {
    try withTemporaryDirectory { (folder) throws in
      let bytes = [UInt8](repeating: 7, count: 100_000)
      let hub = try HubServer(["tiny-Q8_0.gguf": bytes])
      hub.alter { if !$0.path.hasPrefix("/api/"), $1.status == 200 { ($1.cut, $1.stalls) = (60_000, true) } }
      let pull = "SLUICE_MODELS=models HF_HOME=hf \"$0\" pull --endpoint \(hub.endpoint) tester/tiny"
      let stopped = try Sluice.runInShell(
        """
        \(pull) & i=0
        until [ -s models/tester/tiny/.sluice/partial/* ] || [ $i = 600 ]; do sleep 0.1; i=$((i + 1)); done
        kill -INT $!; wait $!
        """, directory: folder)
      #expect(stopped.status == 130, "\(stopped)")
      #expect(stopped.errorLines.last?.contains("stopped; the same command goes on") == true, "\(stopped)")
      hub.alter(nil)
      #expect(try Sluice.runInShell(pull, directory: folder).status == 0)
      #expect(hub.store.requests.last?.fields["range"]?.hasPrefix("bytes=") == true)
    }
  }
}

import Foundation
import Kernels
import TestSupport
import Testing

@testable import SessionStore

@Suite struct SessionCommandTests {
  private func withModel(
    _ tiny: TinyModel = TinyModel(endBias: -40), _ body: (_ model: String, _ folder: String) throws -> Void
  ) throws {
    try withTemporaryDirectory { folder in try body(tiny.write(in: folder), folder) }
  }

  private func sluice(_ arguments: [String], in folder: String) throws -> Sluice.Result {
    try Sluice.run(arguments, environment: ["SLUICE_SESSIONS": folder + "/state/sessions.sluice"])
  }

  private func object(_ output: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
  }

  @Test(arguments: ["full", "streaming-llm:4+28", "h2o:32"])
  func `a stream goes on from run to run as one`(cache: String) throws {
    try withModel { model, folder in
      let options = ["run", "-m", model, "--temp", "0", "--speculate", "off"]
      let whole = try sluice(options + ["--cache", cache, "-p", "Hello", "-n", "90"], in: folder)
      #expect(whole.status == 0 && whole.error.isEmpty)
      var text = ""
      for part in 0..<9 {
        let more = part == 0 ? ["--cache", cache, "-p", "Hello"] : []
        let result = try sluice(options + ["--session", "diary", "-n", "10"] + more, in: folder)
        #expect(result.status == 0, "\(result.error)")
        #expect(result.errorLines.count == 1)
        #expect(result.error.contains(part == 0 ? "'diary' begins" : "'diary' goes on after"), "\(result.error)")
        text += result.output.dropLast()
      }
      // Characters that are cut between two runs come out otherwise.
      let plain = { (text: String) in text.unicodeScalars.filter(\.isASCII).map { Character($0) } }
      #expect(plain(text) == plain(String(whole.output.dropLast())))
      let shown = try object(sluice(["sessions", "show", "diary", "--json"], in: folder).output)
      #expect(shown["tokens"] as? Int == 94 && shown["cache_type"] as? String == "f16")
      #expect(!FileManager.default.fileExists(atPath: folder + "/sessions.sluice"))
    }
  }

  @Test func `sessions are listed, copied, pinned and removed`() throws {
    try withModel { model, folder in
      let empty = try sluice(["sessions"], in: folder)
      #expect(empty.status == 0 && empty.output.isEmpty && empty.error.contains("there are no sessions"))
      for name in ["a", "b"] {
        #expect(
          try sluice(
            ["run", "-m", model, "-p", "Hello", "-n", "5", "--session", name, "--cache", "window:16"], in: folder
          )
          .status == 0)
      }
      #expect(try sluice(["sessions", "fork", "a", "c"], in: folder).status == 0)
      #expect(try sluice(["sessions", "pin", "a"], in: folder).status == 0)
      let list = try object(sluice(["sessions", "list", "--json"], in: folder).output)
      let sessions = try #require(list["sessions"] as? [[String: Any]])
      #expect(sessions.map { $0["name"] as? String } == ["c", "b", "a"])
      #expect(sessions.map { $0["pinned"] as? Bool } == [false, false, true])
      #expect(sessions.allSatisfy { $0["cache"] as? String == "window:16" && $0["bytes"] as? Int ?? 0 > 1000 })
      let table = try sluice(["sessions"], in: folder).output
      for part in ["tiny.gguf", "window:16 f16", "just now", "KiB"] { #expect(table.contains(part), "\(part)") }
      #expect(try sluice(["sessions", "show", "a"], in: folder).output.contains("session  a (pinned)"))
      #expect(try sluice(["sessions", "unpin", "a"], in: folder).status == 0)
      #expect(try sluice(["sessions", "rm", "a", "b"], in: folder).status == 0)
      let left = try object(sluice(["sessions", "--json"], in: folder).output)["sessions"] as? [[String: Any]]
      #expect(left?.map { $0["name"] as? String } == ["c"])
    }
  }

  @Test func `what cannot go on is refused in one line and stays`() throws {
    try withModel { model, folder in
      try FileManager.default.createDirectory(atPath: folder + "/other", withIntermediateDirectories: true)
      let other = try TinyModel(seed: 7, endBias: -40).write(in: folder + "/other")
      let run = ["run", "-m", model, "-n", "5", "--session", "a"]
      #expect(try sluice(run + ["-p", "Hello", "--cache", "window:16"], in: folder).status == 0)
      let cases: [([String], String)] = [
        (["run", "-m", other, "-n", "5", "--session", "a"], "cannot go on: it belongs to another weights or adapters"),
        (run + ["--cache", "window:20"], "has the cache 'window:16', not 'window:20'"),
        (run + ["--cache-type", "f32"], "has slots of type f16, not f32"),
        (["sessions", "show", "none"], "there is no session 'none'"),
        (["sessions", "rm", "none"], "there is no session 'none'"),
        (["sessions", "fork", "a", "a"], "there is a session 'a' already"),
        (["sessions", "pin", "none"], "there is no session 'none'"),
        (["run", "-m", model, "-n", "5", "--session", "new"], "the text is empty"),
        (run + ["--session-store", folder], "\(folder): "),
      ]
      for (arguments, message) in cases {
        let result = try sluice(arguments, in: folder)
        // That a session begins may have been said before.
        #expect(result.status == 1 && result.errorLines.count <= 2, "\(arguments): \(result.error)")
        #expect(result.errorLines.last?.contains(message) == true, "\(arguments): \(result.error)")
      }
      for arguments in [["--session", ""], ["--save-every", "5"], ["--session-store", "x"], ["--save-every", "-1"]] {
        #expect(try sluice(["run", "-m", model, "-p", "x", "-n", "1"] + arguments, in: folder).status == 2)
      }
      let result = try sluice(run, in: folder)
      #expect(result.status == 0 && result.error.contains("goes on after 9 tokens"), "\(result.error)")
    }
  }

  @Test func `a key seals sessions, or a build that cannot says how it could`() throws {
    try withModel { model, folder in
      let key = folder + "/key"
      try Data(repeating: 9, count: 32).write(to: URL(fileURLWithPath: key))
      try Data(repeating: 9, count: 31).write(to: URL(fileURLWithPath: folder + "/short"))
      let run = ["run", "-m", model, "-n", "5", "-p", "Hello", "--session", "a", "--cache", "window:16"]
      let fails = { (arguments: [String], variables: [String: String], message: String) in
        let result = try Sluice.run(
          arguments, environment: variables.merging(["SLUICE_SESSIONS": folder + "/state/sessions.sluice"]) { $1 })
        #expect(result.status == 1 && result.errorLines.count == 1, "\(arguments): \(result.error)")
        #expect(result.error.contains(message), "\(arguments): \(result.error)")
      }
      try fails(run + ["--session-key", folder + "/none"], [:], "/none: the session key cannot be read")
      try fails(run + ["--session-key", folder + "/short"], [:], "/short: a session key has 32 bytes, this one 31")
      try fails(["sessions"], ["SLUICE_SESSION_KEY": folder + "/short"], "a session key has 32 bytes")
      #expect(try sluice(["run", "-m", model, "-p", "x", "-n", "1", "--session-key", key], in: folder).status == 2)
      #if Sealing
        #expect(try sluice(run + ["--session-key", key], in: folder).status == 0)
        #expect(try sluice(["sessions", "show", "a", "--session-key", key], in: folder).output.contains("window:16"))
        try fails(["sessions"], [:], "the stored sessions are sealed; give their key")
        try fails(run, ["SLUICE_SESSION_KEY": model], "a session key has 32 bytes, this one more")
      #else
        try fails(run + ["--session-key", key], [:], "swift build --traits Sealing")
        try fails(["sessions"], ["SLUICE_SESSION_KEY": key], "swift build --traits Sealing")
      #endif
    }
  }

  @Test func `killed in the middle of an endless text, a stream goes on from its last save`() throws {
    try withModel { model, folder in
      var random = SplitMix64(seed: 5)
      var tokens = 0
      for round in 0..<6 {
        let process = Process()
        process.executableURL = Sluice.executable
        process.arguments =
          [
            "run", "-m", model, "--session", "endless", "--save-every", "0", "--seed", "\(round)", "-p", " and",
          ] + (round == 0 ? ["--cache", "streaming-llm:4+60"] : [])
        process.environment = ["SLUICE_SESSIONS": folder + "/state/sessions.sluice"]
        let (output, error) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (FileHandle.nullDevice, output, error)
        try process.run()
        let drain = Thread { _ = try? output.fileHandleForReading.readToEnd() }
        drain.start()
        // Once it has saved something, at a moment of chance.
        while process.isRunning, try saved(folder) <= tokens { usleep(5_000) }
        usleep(UInt32(random.next() % 60_000))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let said = String(decoding: (try error.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
        #expect(!said.contains("warning") && !said.contains("anew") && !said.contains("again"), "\(said)")
        let now = try saved(folder)
        #expect(now > tokens, "round \(round): \(said)")
        tokens = now
      }
      let result = try sluice(["run", "-m", model, "--session", "endless", "-n", "5"], in: folder)
      #expect(result.status == 0 && result.error.contains("goes on after"), "\(result.error)")
    }
  }

  /// Tokens of the stream that are stored.
  private func saved(_ folder: String) throws -> Int {
    let path = folder + "/state/sessions.sluice"
    guard FileManager.default.fileExists(atPath: path) else { return 0 }
    let store = try SessionStore(path: path)
    #expect(store.notice == nil)
    return try store.session(named: "endless")?.tokens ?? 0
  }

  @Test func `a damaged stream is read again as far as it is known`() throws {
    try withModel { model, folder in
      let run = ["run", "-m", model, "--temp", "0", "--session", "a"]
      #expect(
        try sluice(run + ["-p", "Hello there", "-n", "40", "--cache", "streaming-llm:4+60"], in: folder).status == 0)
      #expect(try sluice(["sessions", "fork", "a", "b"], in: folder).status == 0)
      let good = try sluice(run + ["-n", "10"], in: folder)
      try spoil(folder + "/state/sessions.sluice")
      let result = try sluice(["run", "-m", model, "--temp", "0", "--session", "b", "-n", "10"], in: folder)
      #expect(result.status == 0 && result.output == good.output)
      #expect(
        result.error.contains("what was stored is damaged, so its newest 48 tokens are read again"), "\(result.error)")
      let again = try sluice(["run", "-m", model, "--session", "b", "-n", "1"], in: folder)
      #expect(again.error.contains("'b' goes on after"), "\(again.error)")
    }
  }

  /// Damages what is stored of all memories.
  private func spoil(_ path: String) throws {
    try SQLiteDatabase(path: path).execute(
      "UPDATE pages SET content = zeroblob(length(content)) WHERE place >= \(Int64(1) << 32)")
  }
}

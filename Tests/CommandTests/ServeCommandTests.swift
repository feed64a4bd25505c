import TestSupport
import Testing

/// `sluice serve` hands over to the server's program, which answers in the command's manner.
@Suite struct ServeCommandTests {
  @Test(arguments: [
    (["--port", "99999"], "--port must be from 0 to 65535"),
    (["--parallel", "0"], "--parallel must be from 1 to 1024"),
    (["--cache-type", "f8"], "'f8' is no type"), (["--nonsense"], "--nonsense"),
  ])
  func badUsage(_ arguments: [String], _ message: String) throws {
    let result = try Sluice.run(["serve"] + arguments)
    #expect(result.status == 2)
    #expect(result.errorLines.count == 2)
    #expect(result.error.hasPrefix("sluice: "))
    #expect(result.error.contains(message))
  }

  @Test func badInput() throws {
    for arguments in [["-m", "/nonexistent.gguf"], ["--cache", "nothing:1"]] {
      let result = try Sluice.run(["serve"] + arguments)
      #expect(result.status == 1)
      #expect(result.errorLines.count == 1)
      #expect(!result.crashed)
    }
  }

  @Test func help() throws {
    let result = try Sluice.run(["serve", "--help"])
    #expect(result.status == 0)
    #expect(result.output.contains("--api-key"))
  }
}

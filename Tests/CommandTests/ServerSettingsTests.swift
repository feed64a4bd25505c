import ArgumentParser
import TestSupport
import Testing

@testable import ServerCommand

/// Options of the server from a file, the environment and the command line.
@Suite struct ServerSettingsTests {
  private static func settings(
    _ commandLine: [String] = [], _ environment: [String: String] = [:], file: String = ""
  ) throws -> ServerSettings {
    try ServerSettings(commandLine: commandLine, environment: environment) { path in
      #expect(path == "sluice.conf")
      return file
    }
  }

  private static func command(
    _ commandLine: [String] = [], _ environment: [String: String] = [:], file: String = ""
  ) throws -> ServerCommand { try ServerCommand.parse(settings(commandLine, environment, file: file).arguments) }

  @Test func theCommandLineCountsMostThenTheEnvironment() throws {
    let file = "# a comment\n\n port = 1\nqueue=2\nparallel = 3\nhost = a = b\n"
    let environment = ["SLUICE_SERVE_QUEUE": "4", "SLUICE_SERVE_PARALLEL": "5", "PATH": "/bin", "SLUICE_CACHE": "/x"]
    let command = try Self.command(["--config", "sluice.conf", "--parallel", "6"], environment, file: file)
    #expect(command.port == 1 && command.queue == 4 && command.parallel == 6 && command.host == "a = b")
    let other = try Self.command(["-t", "1"], ["SLUICE_SERVE_CONFIG": "sluice.conf"], file: "threads = 2\nmodel = m")
    #expect(other.threads == 1 && other.model == "m")
  }

  @Test func aStrongerPlaceReplacesAllKeys() throws {
    let file = "api-key = one\napi-key = two\nalias = a\n"
    let fromFile = try Self.command(["--config=sluice.conf"], file: file)
    #expect(fromFile.apiKey == ["one", "two"] && fromFile.alias == ["a"])
    let environment = ["SLUICE_SERVE_API_KEY": "three  four\n"]
    let fromEnvironment = try Self.command(["--config=sluice.conf"], environment, file: file)
    #expect(fromEnvironment.apiKey == ["three", "four"] && fromEnvironment.alias == ["a"])
    #expect(try Self.command(["--api-key", "five"], environment).apiKey == ["five"])
  }

  @Test(arguments: [
    ("cash = full", "sluice.conf, line 1: there is no setting 'cash'"), ("port", "line 1: a line is 'name = value'"),
    ("\nport =", "line 2: a line is"), ("port = 1\nport = 2", "line 2: 'port' is set twice"),
    ("config = other", "no setting 'config'"),
  ])
  func wrongFiles(_ file: String, _ message: String) throws {
    let error = #expect(throws: ServerSettings.Failure.self) { try Self.command(["--config=sluice.conf"], file: file) }
    #expect(error?.description.contains(message) == true)
  }

  @Test func anUnknownVariableIsNamedWithoutItsValue() throws {
    let error = #expect(throws: ServerSettings.Failure.self) {
      try Self.command([], ["SLUICE_SERVE_API_KEYS": "secret"])
    }
    #expect(error?.description == "the environment sets SLUICE_SERVE_API_KEYS, which is no setting")
  }

  @Test func everyOptionIsASetting() {
    let help = ServerCommand.helpMessage()
    let options = help.matches(of: #/^  (?:-., )?--([a-z-]+)/#.anchorsMatchLineEndings()).map { String($0.1) }
    let known = ServerSettings.names + ServerSettings.repeatedNames
    #expect(Set(options) == Set(known + ["config", "help"]))
  }
}

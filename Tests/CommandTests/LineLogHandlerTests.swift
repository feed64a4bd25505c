import Foundation
import Logging
import ModelJSON
import Testing

@testable import ServerCommand

/// Events as lines.
@Suite struct LineLogHandlerTests {
  private static let time = Date(timeIntervalSince1970: 1_796_000_000.5)
  private static let hostile = "a \"b\"\nlevel=error x=é"

  private func line(_ format: LineLogHandler.Format) -> String {
    LineLogHandler(format, level: .info) { _ in }.line(
      .warning, "two words", [("plain", "/v1"), ("hostile", Self.hostile), ("none", "")], time: Self.time)
  }

  @Test func text() {
    #expect(
      line(.text) == #"sluice: warning: two words plain=/v1 hostile="a \"b\"\nlevel=error x=é" none="""#)
  }

  @Test func logfmt() {
    #expect(
      line(.logfmt) == #"time=2026-11-30T00:53:20.500Z level=warning message="two words" plain=/v1 "#
        + #"hostile="a \"b\"\nlevel=error x=é" none="""#)
  }

  @Test func json() throws {
    let line = line(.json)
    #expect(!line.contains("\n"))
    let value = try JSONValue(parsing: line)
    #expect(value["time"] == "2026-11-30T00:53:20.500Z" && value["level"] == "warning")
    #expect(value["message"] == "two words" && value["hostile"] == .string(Self.hostile) && value["none"] == "")
  }
}

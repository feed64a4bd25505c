import SluiceCommand
import Testing

@Suite struct ProgressLineTests {
  /// A clock to set and a record of what was written.
  final class Terminal {
    var time = Duration.zero
    var columns = 120
    var written: [String] = []

    func line(_ style: ProgressLine.Style) -> ProgressLine {
      ProgressLine(style: style, columns: { self.columns }, now: { self.time }, write: { self.written.append($0) })
    }
  }

  @Test func `a live line is drawn ten times a second, in place, and ended once`() {
    let terminal = Terminal()
    var progress = terminal.line(.live(isDimmed: false))
    var asked = 0
    func status(_ tokens: Int) -> StreamStatus {
      asked += 1
      return StreamStatus(label: "window:512", tokens: tokens, totalTokens: 1000)
    }
    for millisecond in 0..<1000 {
      terminal.time = .milliseconds(millisecond)
      progress.update(status(millisecond))
    }
    #expect(terminal.written.count == 10)
    #expect(asked == 10)
    #expect(terminal.written.allSatisfy { $0.hasPrefix("\r") && $0.hasSuffix("\u{1B}[K") && !$0.contains("\n") })
    #expect(terminal.written[5] == "\rwindow:512  500 / 1,000 tokens  50 %  1,000 tokens/s  0:00 left\u{1B}[K")
    terminal.time = .seconds(2)
    progress.finish(status(1000))
    #expect(terminal.written.suffix(2) == ["\rwindow:512  1,000 / 1,000 tokens  100 %  500 tokens/s\u{1B}[K", "\n"])
    progress.clear()
    #expect(terminal.written.count == 12)
  }

  @Test func `the speed is that of the last seconds, not of the whole run`() {
    let terminal = Terminal()
    var progress = terminal.line(.live(isDimmed: false))
    var tokens = 0
    for second in 1...20 {
      tokens += second <= 10 ? 100 : 7
      terminal.time = .seconds(second)
      progress.update(StreamStatus(tokens: tokens))
    }
    #expect(terminal.written[9].contains("  100 tokens/s"))
    #expect(terminal.written[19].contains("  7.0 tokens/s"))
  }

  @Test func `a line never reaches the last column`() {
    let status = StreamStatus(label: "streaming-llm:4+508", tokens: 12_345, cacheBytes: 23_592_960, perplexity: 42)
    let full = status.text(perSecond: nil)
    for columns in 1...full.count + 2 {
      let terminal = Terminal()
      terminal.columns = columns
      var progress = terminal.line(.live(isDimmed: true))
      progress.update(status)
      let text = terminal.written[0].dropFirst("\r\u{1B}[2m".count).dropLast("\u{1B}[22m\u{1B}[K".count)
      #expect(text.count == max(1, min(columns - 1, full.count)))
      #expect(text.hasSuffix("…") == (columns <= full.count))
    }
  }

  @Test func `clear erases only what is drawn, and the next update draws at once`() {
    let terminal = Terminal()
    var progress = terminal.line(.live(isDimmed: false))
    progress.clear()
    #expect(terminal.written.isEmpty)
    progress.update(StreamStatus(tokens: 1))
    progress.clear()
    progress.update(StreamStatus(tokens: 2))
    #expect(terminal.written == ["\r1 token\u{1B}[K", "\r\u{1B}[K", "\r2 tokens\u{1B}[K"])
  }

  @Test func `every whole percent of a hundred is written as itself`() {
    for percent in 0...100 {
      let status = StreamStatus(tokens: percent, totalTokens: 100)
      #expect(status.text(perSecond: nil) == "\(percent) / 100 tokens  \(percent) %")
    }
  }

  @Test func `plain lines come at their interval and without control characters`() {
    let terminal = Terminal()
    var progress = terminal.line(.lines(every: .seconds(10)))
    for second in 0...25 {
      terminal.time = .seconds(second)
      progress.update(StreamStatus(tokens: second * 100, cacheBytes: 1024, perplexity: 40.317))
    }
    progress.finish(StreamStatus(tokens: 2500))
    #expect(
      terminal.written == [
        "1,000 tokens  100 tokens/s  cache 1.0 KiB  perplexity 40.32\n",
        "2,000 tokens  100 tokens/s  cache 1.0 KiB  perplexity 40.32\n", "2,500 tokens  100 tokens/s\n",
      ])
  }

  @Test func `silence is silent and asks for nothing`() {
    let terminal = Terminal()
    var progress = terminal.line(.silent)
    progress.update(
      {
        Issue.record("asked for a status"); return StreamStatus(tokens: 1)
      }())
    progress.finish(StreamStatus(tokens: 1))
    progress.clear()
    #expect(terminal.written.isEmpty)
  }

  @Test func `the style follows the terminal and the environment`() {
    func style(_ isTerminal: Bool, _ environment: [String: String], _ interval: Duration? = nil) -> ProgressLine.Style {
      ProgressLine.style(isTerminal: isTerminal, environment: environment, linesEvery: interval)
    }
    #expect(style(true, ["TERM": "xterm"]) == .live(isDimmed: true))
    #expect(style(true, ["TERM": "xterm", "NO_COLOR": ""]) == .live(isDimmed: true))
    #expect(style(true, ["TERM": "xterm", "NO_COLOR": "1"]) == .live(isDimmed: false))
    #expect(style(true, ["TERM": "dumb"]) == .silent)
    #expect(style(true, [:]) == .silent)
    #expect(style(false, ["TERM": "xterm"]) == .silent)
    #expect(style(false, ["TERM": "xterm"], .seconds(5)) == .lines(every: .seconds(5)))
    #expect(style(true, ["TERM": "dumb"], .seconds(5)) == .lines(every: .seconds(5)))
  }
}

import CLibrary

/// What a line of progress shows: how far something has come.
package protocol ProgressStatus {
  /// What is counted for the speed, such as tokens or bytes.
  var done: Int { get }
  /// The line; the speed is nil before there is one.
  func text(perSecond rate: Double?) -> String
}

/// One line on standard error that follows a stream, redrawn in place on a terminal at most ten times a second.
///
/// Standard output belongs to results, so nothing here ever writes to it. An update that is not due costs one look at the
/// clock and does not even ask for the status.
package struct ProgressLine {
  package enum Style: Sendable, Equatable {
    /// Redrawn in place: carriage return, text, erase to the end of the line.
    case live(isDimmed: Bool)
    /// A plain line every so often, for logs.
    case lines(every: Duration)
    case silent
  }

  package let style: Style
  private let columns: () -> Int
  private let now: () -> Duration
  private let write: (String) -> Void
  private let start: Duration
  private var nextUpdate: Duration
  private var recent: [(time: Duration, done: Int)] = []
  private var isDrawn = false

  /// - Parameters:
  ///   - columns: The width of the terminal, asked at every redraw since windows change.
  ///   - now: A clock that never goes back, from any origin.
  ///   - write: Where text goes, as it is.
  package init(
    style: Style, columns: @escaping () -> Int = { 80 }, now: @escaping () -> Duration,
    write: @escaping (String) -> Void
  ) {
    self.style = style
    self.columns = columns
    self.now = now
    self.write = write
    start = now()
    nextUpdate = start
    if case .lines(let interval) = style { nextUpdate += interval }
  }

  /// Redraws the line if it is due.
  package mutating func update(_ status: @autoclosure () -> some ProgressStatus) {
    guard style != .silent else { return }
    let time = now()
    guard time >= nextUpdate else { return }
    let status = status()
    switch style {
    case .live:
      nextUpdate = time + .milliseconds(100)
      draw(status.text(perSecond: recentRate(at: time, done: status.done)))
    case .lines(let interval):
      nextUpdate = time + interval
      write(status.text(perSecond: recentRate(at: time, done: status.done)) + "\n")
    case .silent:
      break
    }
  }

  /// Shows the last status with the average speed since the start, and ends the line.
  package mutating func finish(_ status: some ProgressStatus) {
    guard style != .silent else { return }
    let seconds = (now() - start) / .seconds(1)
    let text = status.text(perSecond: seconds > 0 ? Double(status.done) / seconds : nil)
    if case .live = style {
      draw(text)
      write("\n")
      isDrawn = false
    } else {
      write(text + "\n")
    }
  }

  /// Erases the line, so that something else can be printed; the next update draws it again.
  package mutating func clear() {
    guard isDrawn else { return }
    write("\r\u{1B}[K")
    isDrawn = false
    nextUpdate = now()
  }

  private mutating func draw(_ text: String) {
    guard case .live(let isDimmed) = style else { return }
    // The last column stays free: a character there makes some terminals wrap.
    let room = max(1, columns() - 1)
    let fitted = text.count <= room ? text : text.prefix(room - 1) + "…"
    write(isDimmed ? "\r\u{1B}[2m\(fitted)\u{1B}[22m\u{1B}[K" : "\r\(fitted)\u{1B}[K")
    isDrawn = true
  }

  /// What was done per second over the last two seconds or so; nil before there is anything to divide.
  private mutating func recentRate(at time: Duration, done: Int) -> Double? {
    while recent.count > 1, time - recent[1].time >= .seconds(2) { recent.removeFirst() }
    let oldest = recent.first ?? (start, 0)
    recent.append((time, done))
    let seconds = (time - oldest.time) / .seconds(1)
    return seconds >= 0.05 ? Double(done - oldest.done) / seconds : nil
  }
}

extension ProgressLine {
  /// The style for an output: live on a terminal that can erase a line, else plain lines if asked for, else nothing.
  ///
  /// `NO_COLOR` (no-color.org) takes the dimming away; `TERM=dumb` or none counts as no terminal.
  package static func style(isTerminal: Bool, environment: [String: String], linesEvery interval: Duration?) -> Style {
    let terminal = environment["TERM"] ?? ""
    if isTerminal, !terminal.isEmpty, terminal != "dumb" {
      return .live(isDimmed: (environment["NO_COLOR"] ?? "").isEmpty)
    }
    return interval.map { .lines(every: $0) } ?? .silent
  }

  /// Progress on this process's standard error.
  package static func standardError(linesEvery interval: Duration? = nil) -> ProgressLine {
    var environment: [String: String] = [:]
    for name in ["TERM", "NO_COLOR"] { environment[name] = getenv(name).map { String(cString: $0) } }
    let clock = ContinuousClock()
    let origin = clock.now
    return ProgressLine(
      style: style(isTerminal: isatty(STDERR_FILENO) == 1, environment: environment, linesEvery: interval),
      columns: terminalColumns, now: { clock.now - origin }, write: writeToStandardError)
  }

  private static func terminalColumns() -> Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// Unbuffered; a reader that went away must not end the work, so failures are dropped.
  private static func writeToStandardError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var written = 0
      while written < bytes.count {
        let count = CLibrary.write(STDERR_FILENO, bytes.baseAddress! + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        written += count
      }
    }
  }
}

package import ModelHub

/// The line of a pull: redrawn on a terminal, now and then in a log.
struct PullProgress {
  private var line = ProgressLine.standardError(linesEvery: .seconds(10))
  private var start: Int?
  private var last: PullStatus?

  mutating func show(_ progress: ModelPull.Progress) {
    let start = start ?? progress.bytes
    self.start = start
    let status = PullStatus(progress: progress, bytesBefore: start)
    last = status
    line.update(status)
  }

  /// Ends the line with the whole; nothing where nothing came.
  mutating func finish() {
    guard let last, last.done > 0 else { return line.clear() }
    line.finish(last)
  }

  mutating func clear() { line.clear() }
}

/// How far a pull has come, as its line tells it.
package struct PullStatus: ProgressStatus {
  let progress: ModelPull.Progress
  /// What was here before this pull, which says nothing of its speed.
  let bytesBefore: Int

  package init(progress: ModelPull.Progress, bytesBefore: Int) {
    self.progress = progress
    self.bytesBefore = bytesBefore
  }

  package var done: Int { max(0, progress.bytes - bytesBefore) }

  /// `2 of 3  model-00002-of-00003.gguf  1.2 GiB / 4.1 GiB  29 %  11.3 MiB/s  4:22 left`
  package func text(perSecond rate: Double?) -> String {
    let (bytes, total) = (progress.bytes, progress.total)
    var parts = progress.count > 1 ? ["\(progress.number) of \(progress.count)"] : []
    parts.append(progress.file.split(separator: "/").last.map { String($0) } ?? progress.file)
    parts.append("\(HumanReadable.bytes(bytes)) / \(HumanReadable.bytes(total))")
    if total > 0 { parts.append("\(Int(Double(bytes) * 100 / Double(total))) %") }
    if let rate, rate >= 1 {
      parts.append(HumanReadable.bytes(Int(rate)) + "/s")
      let seconds = Double(total - bytes) / rate
      if bytes < total, seconds < 1e6 { parts.append(HumanReadable.duration(.seconds(seconds)) + " left") }
    }
    return parts.joined(separator: "  ")
  }
}

import Foundation
import TestSupport
import Testing

/// Help, and exit status 2 with one line and a hint for what was typed wrongly.
@Suite struct UsageTests {
  private static let commands = [
    [], ["run"], ["chat"], ["inspect"], ["tokenize"], ["evaluate"], ["evaluate", "perplexity"],
    ["evaluate", "recall"], ["evaluate", "attention"], ["evaluate", "error"], ["evaluate", "sketch"], ["bench"],
    ["evaluate", "offload"], ["worker"],
    ["demo"], ["pull"], ["models"], ["rm"], ["simulate"], ["simulate", "compare"], ["simulate", "best"],
    ["simulate", "lengths"], ["simulate", "fleet"], ["simulate", "calibrate"], ["simulate", "check"],
  ]

  @Test(arguments: commands)
  func `every command explains itself`(command: [String]) throws {
    let result = try Sluice.run(command + ["--help"])
    #expect(result.status == 0 && result.error.isEmpty)
    #expect(result.output.contains("USAGE: " + (["sluice"] + command).joined(separator: " ")))
    #expect(!result.output.contains("\n\n\n"))
  }

  @Test func `the version is one line`() throws {
    let result = try Sluice.run(["--version"])
    #expect(result.status == 0 && result.output.split(separator: "\n").count == 1)
  }

  @Test(arguments: [
    (["run", "--no-such-flag"], "--no-such-flag"), (["no-such-command"], "no-such-command"),
    (["evaluate", "no-such-command"], "no-such-command"), (["evaluate", "perplexity"], "texts"),
    (["run", "-p", "a", "-f", "b"], "not both"), (["tokenize", "-p", "a", "-f", "b"], "not both"),
    (["run", "-p"], "-p"), (["run", "-p", "a", "-n", "five"], "five"),
    (["run", "-p", "a", "--predict=-2"], "--predict"),
    (["run", "-p", "a", "--temp", "hot"], "hot"), (["run", "-p", "a", "--temp=-1"], "temperature"),
    (["run", "-p", "a", "--temp", "nan"], "temperature"), (["run", "-p", "a", "--top-p", "2"], "top-p"),
    (["run", "-p", "a", "--top-k=-1"], "top-k"), (["run", "-p", "a", "--min-p", "7"], "min-p"),
    (["run", "-p", "a", "--repeat-penalty", "0"], "repetition"), (["run", "-p", "a", "--seed=-1"], "-1"),
    (["run", "-p", "a", "--threads", "0"], "--threads"), (["run", "-p", "a", "--chunk", "0"], "--chunk"),
    (["run", "-p", "a", "--lora", ""], "--lora"), (["run", "-p", "a", "--lora", ":2"], "--lora"),
    (["run", "-p", "a", "--lora", "x:nan"], "x:nan"), (["inspect", "--lora", "x:inf"], "x:inf"),
    (["bench", "--machine", "--lora", "x"], "--lora"),
    (["run", "-p", "a", "--stop", ""], "--stop"), (["run", "-p", "a", "stray"], "stray"),
    (["run", "-p", "a", "--cache-type", "f8"], "f32, f16, bf16, q8_0, q8_0/q4_1"),
    (["inspect", "--cache-type", "f8"], "f8"),
    (["evaluate", "perplexity", "x", "--tokens", "1"], "--tokens"),
    (["evaluate", "perplexity", "x", "--progress-every", "0"], "--progress-every"),
    (["evaluate", "perplexity", "-", "--cache", "full", "--cache", "window:8"], "standard input"),
    (["evaluate", "perplexity", "-", "-"], "standard input"),
    (["evaluate", "recall", "--task", "riddles"], "riddles"),
    (["evaluate", "recall", "--lengths", "1000,x"], "1000,x"),
    (["evaluate", "recall", "--lengths", "0"], "--lengths"), (["evaluate", "recall", "--lengths", "9,9"], "twice"),
    (["evaluate", "recall", "--depths", "0,1.5"], "--depths"), (["evaluate", "recall", "--depths", "nan"], "--depths"),
    (["evaluate", "recall", "--cases", "0"], "--cases"), (["evaluate", "recall", "--lines-back", "3"], "--lines-back"),
    (["evaluate", "recall", "--answer-tokens", "0"], "--answer-tokens"),
    (["evaluate", "recall", "--needle", "sharp"], "sharp"),
    (["evaluate", "recall", "x", "--needle", "plain"], "--needle"),
    (["evaluate", "recall", "--task", "needle", "--needle", "cascade"], "--needle"),
    (["evaluate", "recall", "--progress-every", "0"], "--progress-every"),
    (["evaluate", "recall", "--task", "lines", "--text", "x"], "--text"),
    (["evaluate", "recall", "--task", "stream-eval", "--depths", "0"], "--depths"),
    (["evaluate", "recall", "--task", "stream-eval", "--answer-tokens", "3"], "--answer-tokens"),
    (["evaluate", "recall", "x", "--seed", "3"], "--seed"), (["evaluate", "recall", "x", "--task", "lines"], "--task"),
    (["evaluate", "recall", "x", "--lengths", "9"], "--lengths"), (["evaluate", "recall", "x", "y"], "y"),
    (["evaluate", "sketch", "--tokens", "99"], "--tokens"), (["evaluate", "sketch", "--plot", "x"], "--experiment"),
    (["evaluate", "sketch", "--experiment", "luck"], "luck"),
    (["evaluate", "sketch", "--experiment", "size", "--dim", "3"], "--dim"),
    (["evaluate", "sketch", "--bound", "9"], "--bound"), (["evaluate", "sketch", "--kept", "0"], "--kept"),
    (["evaluate", "attention", "x", "--at", "9"], "--cache"),
    (["evaluate", "attention", "x", "--cache", "full"], "--at"),
    (["evaluate", "error", "x", "--at", "9"], "--cache"),
    (["evaluate", "attention", "--at", "9", "--cache", "full"], "texts"),
    (["evaluate", "attention", "x", "--at", "0", "--cache", "full"], "--at"),
    (["evaluate", "attention", "x", "--at", "9,9", "--cache", "full"], "twice"),
    (["evaluate", "attention", "x", "--at", "nine", "--cache", "full"], "nine"),
    (["evaluate", "attention", "x", "--at", "9", "--last", "0", "--cache", "full"], "--last"),
    (["evaluate", "attention", "-", "-", "--at", "9", "--cache", "full"], "standard input"),
    (["evaluate", "offload"], "--workers"), (["evaluate", "offload", "--workers", "unix:/w"], "--worker-key"),
    (["evaluate", "offload", "--workers", "unix:/w", "--worker-key", "k", "--pipeline", "5"], "--pipeline"),
    (["evaluate", "offload", "--workers", "unix:/w", "--worker-key", "k", "--latencies=-1"], "--latencies"),
    (["evaluate", "offload", "--workers", "unix:/w", "--worker-key", "k", "--rates", "0"], "--rates"),
    (["bench", "--prefill", "0"], "--prefill"), (["bench", "--depth=-1"], "--depth"),
    (["bench", "--sequences", "0"], "--sequences"), (["bench", "--sequences", "9", "--chunk", "8"], "--sequences"),
    (["bench", "--rounds", "0"], "--rounds"), (["bench", "--fill"], "--depth"),
    (["bench", "--machine", "--kernels"], "give one of"), (["bench", "--recompute", "--attention"], "give one of"),
    (["bench", "--recompute", "--cache", "full,window:8"], "--cache"), (["bench", "--windows", "8"], "--windows"),
    (["bench", "--recompute", "--windows", "8,4"], "--windows"),
    (["bench", "--kernels", "--windows", "8"], "--windows"),
    (["bench", "--attention", "-m", "x"], "-m"), (["bench", "--heads", "9/3x64"], "--heads"),
    (["bench", "--attention", "--heads", "9/4x64"], "--heads"), (["bench", "--attention", "--depth", "9"], "--depth"),
    (["bench", "--machine", "-m", "x"], "-m"),
    (["bench", "--machine", "--rounds", "2"], "--rounds"), (["bench", "--kernels", "--decode", "2"], "--decode"),
    (["bench", "--kernels", "--width", "100"], "--width"), (["bench", "--width", "256"], "--width"),
    (["bench", "--kernels", "--exact"], "--exact"), (["bench", "--machine", "--cache", "window:8"], "--cache"),
    (["bench", "--kernels", "--depth", "0"], "--depth"),
    (["bench", "--depth", "9999999999999"], "--depth"),
    (["demo", "--budget", "4"], "--budget"), (["demo", "--tokens", "1"], "--tokens"),
    (["demo", "--seconds", "0"], "--seconds"),
    (["chat", "--predict=-2"], "--predict"),
    (["pull"], "model"), (["pull", "tiny"], "OWNER/REPO"), (["pull", "../x"], "OWNER/REPO"),
    (["pull", "a/b", "--revision", ""], "--revision"), (["pull", "a/b", "c/d"], "c/d"), (["rm"], "model"),
    (["models", "x"], "x"),
  ])
  func `bad usage is one line and a hint`(arguments: [String], named: String) throws {
    let result = try Sluice.run(arguments)
    #expect(result.status == 2 && !result.crashed && result.output.isEmpty)
    let lines = result.errorLines
    #expect(lines.count == 2, "\(result.error)")
    #expect(lines.first?.hasPrefix("sluice: ") == true && lines.first?.contains(named) == true, "\(result.error)")
    #expect(lines.last?.hasPrefix("hint: see 'sluice") == true, "\(result.error)")
  }

  @Test func `a text is missing at a terminal`() throws {
    let result = try Sluice.run(["run"], input: .terminal)
    #expect(result.status == 2 && result.error.contains("there is no text") && result.errorLines.count == 2)
  }

  @Test func `control characters of an argument do not reach the terminal`() throws {
    for arguments in [["run", "--\u{1B}[31m\u{9B}"], ["run", "-m", "\u{1B}[31m\u{9B}\n", "-p", "a"]] {
      let error = try Sluice.run(arguments).error
      #expect(!error.unicodeScalars.contains { $0.properties.generalCategory == .control && $0 != "\n" })
      #expect(error.contains("[31m"))
    }
  }
}

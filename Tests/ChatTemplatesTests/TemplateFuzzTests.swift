import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import ChatTemplates

/// Nothing that a template or its variables say ends the process, runs on or takes the machine's memory.
///
/// A thousand rounds by default; `SLUICE_FUZZ_SECONDS=300` goes on for that long with other seeds each time, and says
/// what it did.
@Suite(.serialized) struct TemplateFuzzTests {
  private func corpus() throws -> (sources: [String], variables: [JSONValue]) {
    let entries = try #require(try GoldenTemplates.json("features.json").array)
    var sources = entries.dropFirst().compactMap { $0["template"]?.string }
    let names = Set(try GoldenTemplates.renderings().map(\.template)).sorted()
    // Whole templates weigh as much as the small ones together.
    let whole = names.compactMap(GoldenTemplates.source)
    for _ in 0..<(whole.isEmpty ? 0 : 1 + sources.count / whole.count) { sources += whole }
    let conversations = try #require(try GoldenTemplates.json("conversations.json").object)
    return (sources, [entries[0]] + conversations.values)
  }

  @Test func `mutated templates end in a text or an error`() throws {
    let (sources, variables) = try corpus()
    var limits = TemplateLimits()
    limits.steps = 200_000
    let seconds = ProcessInfo.processInfo.environment["SLUICE_FUZZ_SECONDS"].flatMap(Double.init)
    let seed = seconds == nil ? 7 : UInt64(Date.now.timeIntervalSince1970)
    if seconds != nil { limits.steps = TemplateLimits().steps }
    var fuzzer = TemplateFuzzer(seed: seed, sources: sources, variables: variables)
    let start = ContinuousClock.now
    var counts: [String: Int] = [:]
    var rounds = 0
    var slowest = Duration.zero
    while seconds.map({ start.duration(to: .now) < .seconds($0) }) ?? (rounds < 1000) {
      let before = ContinuousClock.now
      let (source, result) = fuzzer.round(limits: limits)
      let took = before.duration(to: .now)
      if took > slowest {
        slowest = took
        if seconds != nil, took > .seconds(2) { print("seed \(seed), round \(rounds): \(took) for\n\(source)") }
      }
      rounds += 1
      switch result {
      case .success: counts["text", default: 0] += 1
      case .failure(let error):
        counts[error.kind.rawValue, default: 0] += 1
        #expect(error.line > 0, "seed \(seed): \(error) without a place in \(source)")
      }
    }
    // Mutations that never render, or always do, would test one half only.
    #expect(counts["text", default: 0] > rounds / 20 && counts["syntax", default: 0] > rounds / 20, "\(counts)")
    if seconds != nil {
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let memory = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
      print("seed \(seed): \(rounds) rounds, \(counts), slowest \(slowest), \(memory)")
    }
  }
}

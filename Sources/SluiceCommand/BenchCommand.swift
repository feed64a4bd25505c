import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import Kernels
import ModelJSON

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure how fast a model reads and writes.",
    discussion: """
      Reads --prefill tokens at --depth, then writes --decode tokens one at a time. Beside them stands the read
      bandwidth of the machine, measured in the same minute, and the share of it that decoding reached.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var cache: CacheOptions
  @Option(name: .long, help: "Tokens of the prompt.")
  var prefill = 512
  @Option(name: .long, help: "Tokens that are written.")
  var decode = 64
  @Option(name: .long, help: "Tokens that the cache has seen before.")
  var depth = 0
  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  func validate() throws {
    for (name, value) in [("--prefill", prefill), ("--decode", decode)] where value < 1 {
      throw ValidationError("\(name) must be at least 1, but is \(value)")
    }
    guard depth >= 0 else { throw ValidationError("--depth must be 0 or more, but is \(depth)") }
  }

  func run() throws {
    let plan = try KVCache.Plan(cache.cache)
    let loaded = try model.load()
    let run = try SpeedRun.measure(
      loaded.engine, plan: plan, slotType: cache.slots.cacheType, prefill: prefill, decode: decode, depth: depth)
    if json {
      let object: JSONValue = [
        "model": JSONValue(loaded.path), "threads": JSONValue(loaded.engine.team.threads), "depth": JSONValue(depth),
        "cache": JSONValue(cache.cache), "prefillTokensPerSecond": JSONValue(run.prefillTokensPerSecond),
        "decodeTokensPerSecond": JSONValue(run.decodeTokensPerSecond), "readBandwidth": JSONValue(run.readBandwidth),
        "fractionOfLimit": JSONValue(run.fractionOfLimit),
      ]
      StandardOutput.write(object.text + "\n")
      return
    }
    let gigabytes = HumanReadable.decimal(run.readBandwidth / 1e9, places: 1)
    let share = HumanReadable.decimal(run.fractionOfLimit * 100, places: 0)
    StandardOutput.write(
      """
      \((loaded.path as NSString).lastPathComponent), \(loaded.engine.team.threads) threads \
      (\(loaded.engine.kernels.name)), depth \(HumanReadable.count(depth)), cache \(cache.cache)
      prefill  \(HumanReadable.rate(tokensPerSecond: run.prefillTokensPerSecond))
      decode   \(HumanReadable.rate(tokensPerSecond: run.decodeTokensPerSecond)), \(share) % of the \(gigabytes) GB/s \
      that this machine reads

      """)
  }
}

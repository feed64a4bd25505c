import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import Kernels
import ModelJSON
import Models
import Weights

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a model is and what a cache would take.",
    discussion: "Reads the file's description only, so it is quick for a model of any size.")

  @Option(
    name: [.short, .long], help: "A GGUF file, a Hugging Face directory, or a pulled model as OWNER/REPO[:QUANT].")
  var model: String?
  @OptionGroup var adapters: AdapterOptions
  @OptionGroup var cache: CacheOptions
  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  func run() throws {
    let request = try CacheRequest(cache.cache, resolver: .files)
    let path = try ModelLocator.path(of: model)
    let file = try WeightFile.open(path)
    let configuration = try ModelRegistry.configuration(of: file)
    let report = try CacheReport(
      cache: request.resolved(for: configuration, slotType: cache.slots.cacheType), configuration: configuration,
      notices: try LanguageModel.notices(of: file, nil),
      adapters: try adapters.lora.map { AdapterReport(adapter: try $0.open()) })
    if json {
      StandardOutput.write(report.json(path: path, file: file).text + "\n")
    } else {
      StandardOutput.write(report.text(path: path, file: file, instructionSet: try InstructionSet.select().name))
    }
  }
}

/// A model, its adapters and the bytes of a cache for it.
private struct CacheReport {
  let cache: CacheRequest.Resolved
  let configuration: ModelConfiguration
  let notices: [LanguageModel.Notice]
  let adapters: [AdapterReport]

  init(
    cache: CacheRequest.Resolved, configuration: ModelConfiguration, notices: [LanguageModel.Notice],
    adapters: [AdapterReport]
  ) throws(KVCacheError) {
    self.cache = cache
    self.configuration = configuration
    self.notices = notices
    self.adapters = adapters
    stages = try KVCache.stages(
      of: cache.plan, layers: configuration.layers, slotType: cache.slotType, tokens: configuration.trainedLength)
  }

  private var plan: KVCache.Plan { cache.plan }
  private var slotType: KVCache.SlotType { cache.slotType }
  private var bytesPerToken: Int { KVCache.bytesPerToken(shape: configuration.attention, slotType: slotType) }

  /// Tokens that stay of a prompt of as many as the model was trained for; nil where no prompt is voted on.
  private var promptTokens: Int? { plan.prompt?.keptTokens(of: configuration.trainedLength) }

  /// The stages of all heads; of one that grows, bytes for as many tokens as the model was trained for.
  private let stages: [KVCache.StageBytes]

  /// Bytes that are allocated: panels are whole, so a few more than the sum of the stages.
  private var total: Int { bytes(after: plan.capacity == nil ? configuration.trainedLength : 0) }

  private func bytes(after tokens: Int) -> Int {
    KVCache.bytes(plan: plan, layers: configuration.layers, slotType: slotType, tokens: tokens)
  }

  /// What weights and cache take, and what this machine has.
  private func memory(_ file: WeightFile) -> String {
    let weights = file.storedTensors.reduce(0) { $0 + $1.byteRange.count }
    let machine = ProcessInfo.processInfo.physicalMemory
    return "\(HumanReadable.bytes(weights)) of weights and \(HumanReadable.bytes(total)) of cache; this machine has "
      + HumanReadable.bytes(machine) + (UInt64(weights + total) < machine ? ", so it fits" : ", so it does not fit")
  }

  private func typeCounts(_ file: WeightFile) -> [(type: String, count: Int)] {
    var counts: [String: Int] = [:]
    for tensor in file.storedTensors { counts[tensor.type.name, default: 0] += 1 }
    return counts.sorted { $0.value > $1.value || ($0.value == $1.value && $0.key < $1.key) }.map { ($0.key, $0.value) }
  }

  func text(path: String, file: WeightFile, instructionSet: String) -> String {
    let shape = configuration.attention
    let parameters = file.storedTensors.reduce(0) { $0 + $1.elementCount }
    var facts: [(String, String)] = [
      ("model", path), ("architecture", configuration.architecture),
      ("parameters", HumanReadable.count(parameters)),
      ("tensors", typeCounts(file).map { "\($0.count) \($0.type)" }.joined(separator: ", ")),
      ("layers", "\(shape.layers)"),
    ]
    facts += configuration.layerKinds.map { kind in
      (kind.count == shape.layers ? "each" : "\(kind.count) of them", kind.text)
    }
    facts += configuration.experts.map { [("experts", "\($0.used) of \($0.count) for each token")] } ?? []
    facts += [
      ("hidden", "\(configuration.hiddenSize), feed-forward \(configuration.feedForwardSize)"),
      ("vocabulary", HumanReadable.count(configuration.vocabularySize)),
      ("trained length", HumanReadable.tokens(configuration.trainedLength)),
      ("tokenizer", file.tokenizerSummary(path: path)), ("chat template", file.templateSummary()),
      ("memory", memory(file)),
      ("instruction set", instructionSet), ("cache", "\(plan), \(slotType.rawValue)"),
    ]
    facts += cache.reason.map { [("chosen", $0)] } ?? []
    facts += notices.map { ($0.kind.rawValue, $0.text) }
    facts += adapters.map { ("adapter", $0.text) }
    let width = facts.map(\.0.count).max() ?? 0
    var text = facts.map { $0.0 + String(repeating: " ", count: width + 2 - $0.0.count) + $0.1 + "\n" }.joined() + "\n"
    var table = TextTable([
      .init("stage"), .init("tokens", .trailing), .init("bytes per layer", .trailing), .init("bytes", .trailing),
    ])
    for stage in stages {
      let heads = stage.heads == shape.layers * shape.keyValueHeads ? "" : ", \(stage.heads) of the heads"
      table.append([
        stage.description + heads, stage.tokens.map { HumanReadable.count($0) } ?? "all",
        HumanReadable.count(stage.bytes / shape.layers), HumanReadable.count(stage.bytes),
      ])
    }
    table.append([
      "allocated", plan.capacity.map { HumanReadable.count($0) } ?? "all", HumanReadable.count(total / shape.layers),
      HumanReadable.count(total),
    ])
    text += table.text
    if plan.capacity == nil {
      text += "at \(HumanReadable.tokens(configuration.trainedLength)), and growing with the stream\n"
    }
    let whilePromptIsRead = bytes(after: configuration.trainedLength)
    if plan.capacity != nil, whilePromptIsRead > total {
      text += "and \(HumanReadable.count(whilePromptIsRead)) bytes while a prompt of "
      text += "\(HumanReadable.tokens(configuration.trainedLength)) is read\n"
    }
    if let promptTokens, let prompt = plan.prompt {
      let bytes = prompt.keptBytes(of: configuration.trainedLength, shape: shape, slotType: slotType)
      text += "of a prompt that long \(HumanReadable.tokens(promptTokens)) stay when it ends, "
      text += "\(HumanReadable.count(bytes)) bytes; what comes after it "
      text += prompt.recompression.map { "joins them every \(HumanReadable.tokens($0))\n" } ?? "stays too\n"
    }
    return text
  }

  func json(path: String, file: WeightFile) -> JSONValue {
    let shape = configuration.attention
    let stages = stages.map { stage -> JSONValue in
      [
        "stage": JSONValue(stage.description), "tokens": stage.tokens.map { JSONValue($0) } ?? .null,
        "heads": JSONValue(stage.heads), "bytesPerLayer": JSONValue(stage.bytes / shape.layers),
        "bytes": JSONValue(stage.bytes),
      ]
    }
    return [
      "model": JSONValue(path), "architecture": JSONValue(configuration.architecture),
      "layers": JSONValue(shape.layers),
      "layerKinds": .array(
        configuration.layerKinds.map { ["layers": JSONValue($0.count), "kind": JSONValue($0.text)] as JSONValue }),
      "experts": configuration.experts.map { JSONValue($0.count) } ?? .null,
      "expertsUsed": configuration.experts.map { JSONValue($0.used) } ?? .null,
      "queryHeads": JSONValue(shape.queryHeads),
      "keyValueHeads": JSONValue(shape.keyValueHeads), "headDim": JSONValue(shape.headDim),
      "hiddenSize": JSONValue(configuration.hiddenSize), "feedForwardSize": JSONValue(configuration.feedForwardSize),
      "vocabularySize": JSONValue(configuration.vocabularySize),
      "trainedLength": JSONValue(configuration.trainedLength), "cache": JSONValue(plan.description),
      "slotType": JSONValue(slotType.rawValue), "reason": cache.reason.map { JSONValue($0) } ?? .null,
      "stages": .array(stages),
      "cacheBytes": JSONValue(total), "promptTokens": promptTokens.map { JSONValue($0) } ?? .null,
      "notices": .array(notices.map { JSONValue($0.description) }), "adapters": .array(adapters.map(\.json)),
    ]
  }
}

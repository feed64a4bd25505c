import ArgumentParser
import AttentionOffload
import Engine
import Evaluation
import ModelJSON
import Simulation

struct OffloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "offload",
    abstract: "Measure tokens with attention by workers, over networks of any latency and rate.",
    discussion: """
      Fills --sequences caches of the workers with --depth tokens each and decodes from there, all sequences together or as \
      --pipeline batches that take turns. With --latencies or --rates answers come as late as a network of so many microseconds \
      from one end to the other, or of so many megabits a second, would bring them. Beside what was measured stands the formula: the time of \
      the model and of attention, both measured in this process, and for each layer the round trip that was measured and the \
      time of its bytes. What lengthens a token by more than --alpha is marked.

      For a fair comparison give this process and each worker a CPU of its own and one thread.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var slots: SlotTypeOption
  @OptionGroup var workers: WorkerOptions
  @Option(name: .long, help: "Sequences that are decoded together.")
  var sequences = 4
  @Option(name: .long, help: "Tokens that each sequence holds before.")
  var depth = 512
  @Option(name: .long, help: "Tokens that each sequence writes in a measurement.")
  var decode = 16
  @Option(
    name: .long, help: "How often each is measured, beside what the formula takes; the round in the middle counts.")
  var rounds = 5
  @Option(name: .long, help: "Batches that take turns: 1 has all sequences in one; 1,2 without it.")
  var pipeline: NumberList<Int>?
  @Option(name: .long, help: "Microseconds from one end to the other.")
  var latencies: NumberList<Double>?
  @Option(name: .long, help: "Megabits a second, each without latency.")
  var rates: NumberList<Double>?
  @Option(name: .long, help: "By how much the network may lengthen a token before it is marked.")
  var alpha = 0.2
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false

  func validate() throws {
    guard !workers.workers.isEmpty else { throw ValidationError("give --workers, see 'sluice worker'") }
    for (name, value, most) in [
      ("--sequences", sequences, model.chunk), ("--depth", depth, 1 << 24), ("--decode", decode, 1 << 12),
      ("--rounds", rounds, 1000),
    ] where !(1...most).contains(value) {
      throw ValidationError("\(name) must be from 1 to \(most), but is \(value)")
    }
    try pipeline?.check("--pipeline", in: 1...AttentionModel.mostLanes)
    try latencies?.check("--latencies", in: 0...1e7)
    try rates?.check("--rates", in: 0.001...1e6)
    guard alpha > 0 else { throw ValidationError("--alpha must be above 0, but is \(alpha)") }
  }

  func run() throws {
    let loaded = try model.load(isQuiet: json)
    var options = OffloadRun.Options()
    (options.sequences, options.depth, options.steps, options.rounds) = (sequences, depth, decode, rounds)
    options.batches = pipeline?.values.sorted() ?? options.batches
    options.networks = (latencies?.values ?? []).map { ShapedRelay.Shape(latency: $0 * 1e-6) }
    options.networks += (rates?.values ?? []).map { ShapedRelay.Shape(latency: 0, rate: $0 * 1e6 / 8) }
    if options.networks.isEmpty { options.networks = [nil] }
    let run = try OffloadRun(loaded.engine, slotType: slots.type, options: options)
    let network = ShapedChannel.Network(.none)
    let isShaped = latencies != nil || rates != nil
    let attention = try workers.attention(
      for: loaded.engine, lanes: options.batches.max() ?? 1, over: isShaped ? network : nil)
    var rows: [OffloadRun.Row] = []
    try run.measure(attention, over: network) { row in
      rows.append(row)
      if json { StandardOutput.write(row.json(alpha: alpha).text + "\n") }
    }
    guard !json else { return }
    var table = TextTable(OffloadRun.Row.columns)
    for row in rows { table.append(row.cells(alpha: alpha)) }
    StandardOutput.write(table.text)
  }
}

extension OffloadRun.Row {
  static let columns: [TextTable.Column] = [
    "network", "round trip", "batches", "step", "formula", "difference", "alpha", "model", "packing", "sending",
    "waiting",
    "of it attention",
  ].enumerated().map { .init($1, $0 == 0 ? .leading : .trailing) }

  /// A step without what exchanges took.
  private var model: Double { seconds - times.packing - times.sending - times.waiting }
  private var attention: Double { formula.attention * Double(batches) }

  func cells(alpha: Double) -> [String] {
    let name =
      network?.rate.map { "\(HumanReadable.decimal($0 * 8e-6, places: 0)) Mbit/s" }
      ?? network.map { "\(HumanReadable.decimal($0.latency * 1e6, places: 0)) us" } ?? "as it is"
    let share = HumanReadable.decimal(formula.alpha, places: 2)
    return [
      name, HumanReadable.decimal(formula.roundTrip * 1e6, places: 0) + " us", "\(batches)",
      HumanReadable.milliseconds(seconds), HumanReadable.milliseconds(formula.seconds),
      HumanReadable.change(difference), formula.alpha > alpha ? share + " !" : share,
    ] + [model, times.packing, times.sending, times.waiting, attention].map { HumanReadable.milliseconds($0) }
  }

  func json(alpha: Double) -> JSONValue {
    [
      "latencySeconds": network.map { JSONValue($0.latency) } ?? .null,
      "bytesPerSecond": network?.rate.map { JSONValue($0) } ?? .null,
      "batches": JSONValue(batches), "stepSeconds": JSONValue(seconds), "formulaSeconds": JSONValue(formula.seconds),
      "roundTripSeconds": JSONValue(formula.roundTrip), "alpha": JSONValue(formula.alpha),
      "exceedsAlpha": JSONValue(formula.alpha > alpha), "modelSeconds": JSONValue(model),
      "packingSeconds": JSONValue(times.packing), "sendingSeconds": JSONValue(times.sending),
      "waitingSeconds": JSONValue(times.waiting), "attentionSeconds": JSONValue(attention),
      "bytesSent": JSONValue(times.bytesSent), "bytesReceived": JSONValue(times.bytesReceived),
    ]
  }
}

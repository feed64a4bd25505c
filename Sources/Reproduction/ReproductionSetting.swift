/// What experiments are run with.
package struct ReproductionSetting: Sendable {
  /// How much is run.
  package enum Extent: String, Sendable {
    /// Under a quarter of an hour.
    case quick
    /// Overnight: as many cases as the claims need.
    case full
  }

  package var extent: Extent
  /// The model as commands take it; nil is the default model.
  package var model: String?
  package var threads: Int?
  /// An adapter with which the model finds numbers again.
  package var recallAdapter: String?
  package var infiniModel: String?
  /// Files of long texts, such as novels.
  package var texts: [String]
  /// How fast this machine reads, beside the one on which a quick run takes a quarter of an hour.
  package var speed: Double

  package init(
    extent: Extent, model: String? = nil, threads: Int? = nil, recallAdapter: String? = nil,
    infiniModel: String? = nil, texts: [String] = [], speed: Double = 1
  ) {
    self.extent = extent
    self.model = model
    self.threads = threads
    self.recallAdapter = recallAdapter
    self.infiniModel = infiniModel
    self.texts = texts
    self.speed = speed
  }

  func has(_ need: Experiment.Need) -> Bool {
    switch need {
    case .texts: !texts.isEmpty
    case .recallAdapter: recallAdapter != nil
    case .infiniModel: infiniModel != nil
    }
  }

  /// The needs of an experiment that nothing here meets.
  package func missing(for experiment: Experiment) -> [Experiment.Need] {
    experiment.needs.filter { !has($0) }.sorted { $0.option < $1.option }
  }

  func pick<Value>(quick: Value, full: Value) -> Value { extent == .quick ? quick : full }

  /// A number of tokens to read: the quick one follows the machine's speed, in thousands.
  func tokens(quick: Int, full: Int) -> Int {
    guard extent == .quick else { return full }
    return max(1, Int(Double(quick) * min(max(speed, 0.1), 1) / 1000)) * 1000
  }

  /// Words that name the model and threads.
  func modelWords(_ path: String? = nil) -> [String] {
    let model = path ?? self.model
    return (model.map { ["-m", $0] } ?? []) + (threads.map { ["-t", "\($0)"] } ?? [])
  }

  /// `evaluate recall` with the model, the recall adapter and `words`.
  func recall(_ words: [String], caches: [String]) -> SluiceRun {
    SluiceRun(
      ["evaluate", "recall"] + modelWords() + (recallAdapter.map { ["--lora", $0] } ?? []) + words
        + caches.flatMap { ["--cache", $0] } + ["--json"])
  }

  /// `evaluate perplexity` over texts, the first `tokens` of them.
  func perplexity(_ texts: [String], tokens: Int, caches: [String], words: [String] = []) -> SluiceRun {
    SluiceRun(
      ["evaluate", "perplexity"] + modelWords() + texts + ["--tokens", "\(tokens)"] + words
        + caches.flatMap { ["--cache", $0] } + ["--json"])
  }

  /// `bench` with the model.
  func bench(_ words: [String], needsModel: Bool = true) -> SluiceRun {
    SluiceRun(["bench"] + (needsModel ? modelWords() : threads.map { ["-t", "\($0)"] } ?? []) + words + ["--json"])
  }
}

/// One comparison with a paper: commands to run, and what their results say of its figures.
package struct Experiment: Sendable {
  /// What an experiment cannot do without, beside a model.
  package enum Need: Sendable, Hashable {
    case texts, recallAdapter, infiniModel

    /// The option that brings it.
    package var option: String {
      switch self {
      case .texts: "--text"
      case .recallAdapter: "--recall-adapter"
      case .infiniModel: "--infini-model"
      }
    }
  }

  /// Unique within its system, as in `sinks`.
  package let name: String
  package let title: String
  /// What the paper says and where.
  package let claim: String
  /// What differs here from the paper's protocol.
  package let differences: String
  package let needs: Set<Need>
  package let runs: @Sendable (ReproductionSetting) -> [SluiceRun]
  /// Takes the results of `runs`, in their order.
  package let read: @Sendable ([RunResult]) throws(RunError) -> Findings

  init(
    _ name: String, title: String, claim: String, differences: String, needs: Set<Need> = [],
    runs: @escaping @Sendable (ReproductionSetting) -> [SluiceRun],
    read: @escaping @Sendable ([RunResult]) throws(RunError) -> Findings
  ) {
    self.name = name
    self.title = title
    self.claim = claim
    self.differences = differences
    self.needs = needs
    self.runs = runs
    self.read = read
  }
}

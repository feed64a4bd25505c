/// The buffers that a model's layers need, found when it is loaded: layers, and values of a layer that do not live at
/// the same time, share them.
package struct BufferPlan: Sendable {
  struct Entry: Sendable, Equatable {
    let width: Int
    /// Whether matrices read it, for which it is quantised.
    let feedsProducts: Bool
    /// Whether it has the rows that get logits, and not all rows of a step.
    let isForLogits: Bool
  }

  private(set) var entries: [Entry]
  private var isFree: [Bool]
  /// The most low-rank products of a row that matrices with one input need at once; 0 without adapters.
  var lowRankWidth = 0
  /// What mixing experts needs; nil where there are none.
  private(set) var experts: ExpertSizes?
  /// Where what belongs to the tokens beside the residual stream is, for all layers; nil where there is nothing.
  package internal(set) var beside: Int?
  /// Where the logits are.
  var logits = 0

  /// The residual stream of all rows.
  static let hidden = 0
  /// That of the rows that get logits.
  static let chosen = 1

  init(hiddenSize: Int) {
    entries = [false, true].map { Entry(width: hiddenSize, feedsProducts: false, isForLogits: $0) }
    isFree = [false, false]
  }

  /// A buffer of that kind that nothing uses, made if there is none.
  mutating func take(_ entry: Entry) -> Int {
    if let index = entries.indices.first(where: { isFree[$0] && entries[$0] == entry }) {
      isFree[index] = false
      return index
    }
    entries.append(entry)
    isFree.append(false)
    return entries.count - 1
  }

  /// Makes room for mixing experts.
  mutating func reserve(_ description: Experts, columns: Int) {
    let old = experts
    experts = ExpertSizes(
      columns: columns, feedForward: max(old?.feedForward ?? 0, description.feedForward),
      count: max(old?.count ?? 0, description.count), used: max(old?.used ?? 0, description.used))
    precondition(old == nil || old?.columns == columns, "experts of one model read rows of one width")
  }

  mutating func giveBack(_ index: Int) {
    precondition(index > Self.chosen && !isFree[index], "a buffer that is not lent")
    isFree[index] = true
  }
}

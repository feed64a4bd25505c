import Kernels

/// Where experts are mixed: which row meets which expert, and the rows of one expert on their way.
final class ExpertWorkspace: Sendable {
  /// The experts of each row and what they count, `[row, used]`.
  let chosen: Buffer<Int32>
  let weights: Buffer<Float>
  /// Probabilities of one row's experts, `[expert]`.
  let scores: Buffer<Float>
  /// Where the choices of each expert begin in `order`, and (last) where they end, `[expert]`.
  let first: Buffer<Int32>
  /// Choices by expert: row × used + choice, `[row × used]`.
  let order: Buffer<Int32>
  /// The rows that meet one expert, `[row, column]`.
  let input: Activations
  /// What the expert makes of them on the way, `[row, feedForward]`.
  let inner: Activations
  let up: Buffer<Float>
  /// And in the end, `[row, column]`.
  let output: Buffer<Float>

  init(_ sizes: ExpertSizes, rows: Int) {
    chosen = Buffer(count: rows * sizes.used)
    weights = Buffer(count: rows * sizes.used)
    scores = Buffer(count: sizes.count)
    first = Buffer(count: sizes.count + 1)
    order = Buffer(count: rows * sizes.used)
    input = Activations(capacity: rows, columns: sizes.columns)
    inner = Activations(capacity: rows, columns: sizes.feedForward)
    up = Buffer(count: rows * sizes.feedForward)
    output = Buffer(count: rows * sizes.columns)
  }
}

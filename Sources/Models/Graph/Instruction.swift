import KVCaches
import Kernels

/// A step of a layer as the executor runs it: buffers by their index in the plan, weights by their address.
///
/// No reference is counted where one is read. `GraphModel` keeps alive what the addresses point to.
enum Instruction: BitwiseCopyable {
  case normalize(Normalization, from: Int, to: Int)
  /// By the index of the projection.
  case project(Int, from: Int)
  case activate(Activation, gate: Int, up: Int?, to: Int, width: Int)
  case add(Int, to: Int, width: Int)
  case scale(Int, by: Float, width: Int)
  /// For a product with what is not readied for products.
  case copy(Int, to: Int, width: Int)
  /// Of a table of the model, by its index; what runs it knows the tokens.
  case tableRows(Int, to: Int, width: Int)
  /// Of rows of `stride` numbers, the `width` from `offset` on.
  case slice(Int, offset: Int, stride: Int, to: Int, width: Int)
  case multiply(Int, by: Int, to: Int, width: Int)
  /// By `count` factors, which repeat.
  case scaleEach(Int, by: UnsafePointer<Float>, count: Int, width: Int)
  case gateRows(Int, by: Int, width: Int)
  case softCap(Int, Float, width: Int)
  case clamp(Int, Float, width: Int)
  case beginAttention(queries: Int)
  case offerAttention(keys: Int, values: Int)
  case finishAttention(keys: Int?, values: Int?, to: Int)
  case convolve(Convolution, from: Int, to: Int)
  case deltaRule(
    mixed: Int, decays: Int, betas: Int, rates: UnsafePointer<Float>, offsets: UnsafePointer<Float>, to: Int)
  case mixExperts(UnsafePointer<ExpertLayer>, scores: Int, from: Int, to: Int)

  /// Whether it waits for the result of attention.
  var needsAttention: Bool {
    if case .finishAttention = self { true } else { false }
  }
}

/// A norm of each of `count` parts of a row.
struct Normalization: BitwiseCopyable {
  let kind: Norm.Kind
  let epsilon: Float
  /// `[size]`
  let weight: UnsafePointer<Float>?
  /// `[size]`
  let bias: UnsafePointer<Float>?
  let size: Int
  let count: Int
}

/// Products of one input with up to three matrices.
struct Projection: BitwiseCopyable {
  struct Product: BitwiseCopyable {
    let matrix: LinearSegment
    /// `[row]`
    let bias: UnsafePointer<Float>?
    /// The buffer that it goes to.
    let output: Int
    /// The second factor of what adapters add, and where its inputs begin among the products with the first.
    let up: LinearSegment?
    let upOffset: Int
  }

  let first: Product
  let second: Product?
  let third: Product?
  /// The first factor of what adapters add to all of them.
  let down: LinearSegment?
  /// Whether products are added to what their buffer holds.
  let accumulates: Bool

  /// - Precondition: the group lives as long as the projection is used.
  init(_ group: LinearGroup, outputs: [Int], accumulates: Bool = false) {
    precondition(outputs.count == group.linears.count)
    func product(_ index: Int) -> Product? {
      guard index < outputs.count else { return nil }
      let linear = group.linears[index]
      let up = group.lowRank?.ups.first { $0.index == index }
      return Product(
        matrix: LinearSegment(linear.matrix), bias: linear.bias.map { UnsafePointer($0.pointer) },
        output: outputs[index], up: up.map { LinearSegment($0.matrix) }, upOffset: up?.offset ?? 0)
    }
    guard let first = product(0) else { preconditionFailure("a group has at least one matrix") }
    self.first = first
    second = product(1)
    third = product(2)
    down = group.lowRank.map { LinearSegment($0.down) }
    self.accumulates = accumulates
  }
}

import Kernels

/// What a layer computes, as a list of operations on the rows of a step.
///
/// A family builds one for each layer in the order of its published forward pass. `GraphCompiler` turns it into
/// instructions; bytes, adapters and whoever wants to cut a model ask the same list. Tensors go by the names that GGUF
/// gives them within a layer. Experts would be one more operation, which reads the scores of a router.
struct LayerGraph: Sendable {
  /// Numbers for each row, made by one operation and never changed.
  struct Value: Sendable, Hashable {
    fileprivate(set) var index: Int
    /// How many numbers a row has.
    let width: Int
  }

  /// A matrix `[rows, width of its input]`.
  struct Matrix: Sendable {
    let name: String
    let rows: Int

    init(_ name: String, rows: Int) {
      self.name = name
      self.rows = rows
    }
  }

  enum Operation: Sendable {
    /// The residual stream.
    case input
    /// Of the whole row, or of each part of `size` values with the same weight.
    case norm(name: String, size: Int)
    /// Products of one input with up to three matrices, and their biases where the file has them.
    case linear([Matrix])
    /// Of the first input, times the second if there is one.
    case activation(Activation)
    case sum
    case scale(Float)
    case softCap(Float)
    /// Of queries, keys and values, whose positions the memory knows.
    case attention
  }

  struct Node: Sendable {
    let operation: Operation
    let inputs: [Value]
    let outputs: [Value]
  }

  let norm: Norm
  /// Each after those whose outputs it reads.
  private(set) var nodes: [Node] = []
  private var valueCount = 0
  private(set) var output: Value

  /// The graph that `build` makes of the residual stream.
  init(width: Int, norm: Norm, build: (inout LayerGraph, Value) -> Value) {
    self.norm = norm
    output = Value(index: 0, width: width)
    let input = append(.input, [], widths: [width])[0]
    output = build(&self, input)
  }

  /// How many values there are; their indices count from 0.
  var count: Int { valueCount }

  mutating func norm(_ x: Value, _ name: String) -> Value {
    append(.norm(name: name, size: x.width), [x], widths: [x.width])[0]
  }

  /// The norm of each head of `size` values.
  mutating func headNorm(_ x: Value, _ name: String, size: Int) -> Value {
    append(.norm(name: name, size: size), [x], widths: [x.width])[0]
  }

  /// x · Wᵀ + bias for each of up to three matrices, which are multiplied together.
  mutating func linear(_ x: Value, _ matrices: Matrix...) -> [Value] {
    append(.linear(matrices), [x], widths: matrices.map(\.rows))
  }

  mutating func linear(_ x: Value, _ name: String, rows: Int) -> Value {
    append(.linear([Matrix(name, rows: rows)]), [x], widths: [rows])[0]
  }

  /// activation(gate) · up; without `up` the activation alone.
  mutating func activation(_ activation: Activation, _ gate: Value, _ up: Value? = nil) -> Value {
    precondition(up.map { $0.width == gate.width } ?? true, "a gate is as wide as what it gates")
    return append(.activation(activation), [gate] + (up.map { [$0] } ?? []), widths: [gate.width])[0]
  }

  /// x + y, in the place of x: nothing reads x afterwards.
  mutating func sum(_ x: Value, _ y: Value) -> Value {
    precondition(x.width == y.width, "a sum is of two equal widths")
    return append(.sum, [x, y], widths: [x.width])[0]
  }

  mutating func scale(_ x: Value, by factor: Float) -> Value { append(.scale(factor), [x], widths: [x.width])[0] }

  /// cap · tanh(x / cap).
  mutating func softCap(_ x: Value, _ cap: Float) -> Value { append(.softCap(cap), [x], widths: [x.width])[0] }

  /// As wide as the queries. What stands between this and the first reader of its result runs while memory elsewhere attends.
  mutating func attention(_ queries: Value, _ keys: Value, _ values: Value) -> Value {
    append(.attention, [queries, keys, values], widths: [queries.width])[0]
  }

  private mutating func append(_ operation: Operation, _ inputs: [Value], widths: [Int]) -> [Value] {
    let outputs = widths.enumerated().map { Value(index: valueCount + $0.offset, width: $0.element) }
    valueCount += outputs.count
    nodes.append(Node(operation: operation, inputs: inputs, outputs: outputs))
    return outputs
  }
}

/// How a model normalises.
struct Norm: Sendable {
  enum Kind: Sendable {
    /// x / sqrt(mean(x²) + epsilon) · weight
    case rootMeanSquare
    /// (x - mean(x)) / sqrt(variance(x) + epsilon) · weight + bias
    case layer
  }

  var kind = Kind.rootMeanSquare
  let epsilon: Float
  /// Added to the weights of a file that holds what they differ by from it.
  var weightOffset: Float = 0
}

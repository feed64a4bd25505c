import KVCaches
import Kernels

/// What a layer computes, as a list of operations on the rows of a step.
///
/// A family builds one for each layer in the order of its published forward pass. `GraphCompiler` turns it into
/// instructions; bytes, adapters and whoever wants to cut a model ask the same list. Tensors go by the names that GGUF
/// gives them within a layer.
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
    /// Of the whole row, or of each part of `size` values with the same weight; without a name there is no weight.
    /// A plain one's file holds the weights themselves, whatever the model's other norms add to theirs.
    case norm(name: String?, size: Int, isPlain: Bool)
    /// Products of one input with some of up to three matrices, which a file may hold as one, and their biases where it has
    /// them.
    case linear([Matrix], part: Range<Int>)
    /// Of the first input, times the second if there is one.
    case activation(Activation)
    case sum
    case product
    case scale(Float)
    /// By a number of the file, where it has it.
    case scaleStored(name: String)
    /// A row of a table for each token, read from the file.
    case tableRows(name: String, rows: Int)
    /// A part of what the model made of the embeddings beside the residual stream.
    case beside(offset: Int)
    /// By one factor for each number of a row, or of each part of it.
    case scaleEach([Float])
    /// Of each row by the sigmoid of a number of its own, the second input.
    case gateRows
    case softCap(Float)
    case clamp(Float)
    /// Of queries, keys and values, whose positions the memory knows; of queries alone where an earlier layer has the keys.
    case attention
    /// Along the text; what came before is the memory's.
    case convolution(name: String, span: Int, hasSilu: Bool)
    /// Of what a convolution mixed, what decays are made of, and how much is taken in.
    case deltaRule(Recurrence.DeltaRule, rates: String, offsets: String)
    /// Of a row and the scores that its router gives each expert.
    case experts(Experts)
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
    append(.norm(name: name, size: x.width, isPlain: false), [x], widths: [x.width])[0]
  }

  /// The norm of each head of `size` values; without a name there is no weight.
  mutating func headNorm(_ x: Value, _ name: String?, size: Int, isPlain: Bool = false) -> Value {
    append(.norm(name: name, size: size, isPlain: isPlain), [x], widths: [x.width])[0]
  }

  /// x · Wᵀ + bias for each of up to three matrices, which are multiplied together.
  mutating func linear(_ x: Value, _ matrices: Matrix...) -> [Value] {
    append(.linear(matrices, part: matrices.indices), [x], widths: matrices.map(\.rows))
  }

  mutating func linear(_ x: Value, _ name: String, rows: Int) -> Value {
    linear(x, Matrix(name, rows: rows))[0]
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

  mutating func product(_ x: Value, _ y: Value) -> Value {
    precondition(x.width == y.width, "a product is of two equal widths")
    return append(.product, [x, y], widths: [x.width])[0]
  }

  /// x times a number that the file may hold.
  mutating func scale(_ x: Value, byStored name: String) -> Value {
    append(.scaleStored(name: name), [x], widths: [x.width])[0]
  }

  /// The row of a table that belongs to each token; only where embeddings are made.
  mutating func tableRows(_ name: String, rows: Int, width: Int) -> Value {
    append(.tableRows(name: name, rows: rows), [], widths: [width])[0]
  }

  /// Numbers from `offset` on of what the family makes of the embeddings for all layers.
  mutating func beside(offset: Int, width: Int) -> Value {
    append(.beside(offset: offset), [], widths: [width])[0]
  }

  /// Each number of a row times its factor; fewer factors repeat.
  mutating func scale(_ x: Value, by factors: [Float]) -> Value {
    precondition(!factors.isEmpty && x.width % factors.count == 0, "factors repeat a whole number of times")
    return append(.scaleEach(factors), [x], widths: [x.width])[0]
  }

  /// x · sigmoid(gate), with one gate a row, in the place of x.
  mutating func gate(_ x: Value, rowsBy gate: Value) -> Value {
    precondition(gate.width == 1, "one gate a row")
    return append(.gateRows, [x, gate], widths: [x.width])[0]
  }

  mutating func clamp(_ x: Value, to limit: Float) -> Value { append(.clamp(limit), [x], widths: [x.width])[0] }

  mutating func scale(_ x: Value, by factor: Float) -> Value { append(.scale(factor), [x], widths: [x.width])[0] }

  /// cap · tanh(x / cap).
  mutating func softCap(_ x: Value, _ cap: Float) -> Value { append(.softCap(cap), [x], widths: [x.width])[0] }

  /// As wide as the queries. What needs neither this nor much to be kept for it runs while memory elsewhere attends
  /// (`AttentionCut`). A layer attends once at most.
  mutating func attention(_ queries: Value, _ keys: Value, _ values: Value) -> Value {
    append(.attention, [queries, keys, values], widths: [queries.width])[0]
  }

  /// Attention to the keys and values of an earlier layer.
  mutating func attention(_ queries: Value) -> Value { append(.attention, [queries], widths: [queries.width])[0] }

  /// A causal convolution along the text, each number by itself.
  mutating func convolution(_ x: Value, _ name: String, span: Int, hasSilu: Bool) -> Value {
    append(.convolution(name: name, span: span, hasSilu: hasSilu), [x], widths: [x.width])[0]
  }

  /// The gated delta rule; its inputs are overwritten.
  mutating func deltaRule(
    _ mixed: Value, decays: Value, betas: Value, _ rule: Recurrence.DeltaRule, rates: String, offsets: String
  ) -> Value {
    precondition(mixed.width == rule.width && decays.width == rule.valueHeads && betas.width == rule.valueHeads)
    return append(
      .deltaRule(rule, rates: rates, offsets: offsets), [mixed, decays, betas],
      widths: [rule.valueHeads * rule.valueDim])[0]
  }

  /// What the experts that a router prefers make of a row.
  mutating func experts(_ x: Value, scores: Value, _ experts: Experts) -> Value {
    precondition(scores.width == experts.count, "a score for every expert")
    return append(.experts(experts), [x, scores], widths: [x.width])[0]
  }

  /// The graph with nodes replaced by such as make the same values together.
  func replacingNodes(_ replacement: (Node) -> [Node]) -> LayerGraph {
    var graph = self
    graph.nodes = nodes.flatMap(replacement)
    return graph
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

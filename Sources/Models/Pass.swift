import Kernels

/// The steps that layers are made of, over the rows of one forward pass.
///
/// Passes of few rows run the small steps on the calling thread, where a join would cost more than the work.
struct Pass {
  let workspace: ForwardWorkspace
  let team: WorkerTeam
  let rows: Int

  var kernels: InstructionSet { workspace.kernels }

  /// Whether the rows are too few for small steps to be worth a join.
  var isShort: Bool { rows < 8 }

  /// Runs `body` over ranges of rows.
  @inline(__always)
  private func overRows(_ body: (Range<Int>) -> Void) {
    if isShort { body(0..<rows) } else { team.parallelFor(rows, body) }
  }

  /// hidden = rows of the embedding.
  func embed(_ tokens: UnsafeBufferPointer<Int32>, from embedding: PackedMatrix, width: Int) {
    let hidden = workspace.hidden.pointer
    overRows { range in
      for row in range { embedding.copyRow(Int(tokens[row]), to: hidden + row * width) }
    }
  }

  /// normed = RMSNorm(hidden) × weight, ready for a projection.
  func normalize(by weight: Buffer<Float>, epsilon: Float) {
    normalize(0..<rows, into: workspace.normed, by: weight, epsilon: epsilon)
  }

  /// last = RMSNorm of the given rows of hidden × weight.
  func normalizeLast(_ source: Range<Int>, by weight: Buffer<Float>, epsilon: Float) {
    normalize(source, into: workspace.last, by: weight, epsilon: epsilon)
  }

  private func normalize(_ source: Range<Int>, into target: Activations, by weight: Buffer<Float>, epsilon: Float) {
    let width = target.columns
    let hidden = workspace.hidden.pointer + source.lowerBound * width
    overRows { range in
      for row in range {
        kernels.rmsNorm(
          hidden + row * width, weight: weight.pointer, out: target[row], count: width, epsilon: epsilon)
      }
      quantize(target, range)
    }
  }

  /// Readies values that were written in place for a projection.
  func quantize(_ activations: Activations) {
    overRows { quantize(activations, $0) }
  }

  private func quantize(_ activations: Activations, _ range: Range<Int>) {
    guard workspace.arithmetic == .int8, activations.isQuantizable else { return }
    activations.quantizeRows(range, with: kernels)
  }

  /// outputs = input × matricesᵀ + biases, one output a matrix of the group, with what adapters add.
  func project(
    _ group: LinearGroup, _ input: Activations, into first: Buffer<Float>, _ second: Buffer<Float>? = nil,
    _ third: Buffer<Float>? = nil
  ) {
    let linears = group.linears
    kernels.linear(
      LinearSegment(linears[0].matrix, out: first.pointer, stride: linears[0].matrix.rows),
      segment(linears, 1, second), segment(linears, 2, third), downSegment(group), activations: input, tokens: rows,
      arithmetic: workspace.arithmetic, team: team)
    addLowRank(group, input, to: (first, second, third))
    addBias(linears, 0, to: first)
    addBias(linears, 1, to: second)
    addBias(linears, 2, to: third)
  }

  /// hidden += input × matrixᵀ + bias, with what adapters add.
  func addProjection(_ group: LinearGroup, _ input: Activations) {
    let linear = group.linears[0]
    kernels.linear(
      LinearSegment(linear.matrix, out: workspace.hidden.pointer, stride: linear.matrix.rows, accumulates: true),
      downSegment(group), activations: input, tokens: rows, arithmetic: workspace.arithmetic, team: team)
    addLowRank(group, input, to: (workspace.hidden, nil, nil))
    addBias(group.linears, 0, to: workspace.hidden)
  }

  private func segment(_ linears: [Linear], _ index: Int, _ output: Buffer<Float>?) -> LinearSegment? {
    guard let output else { return nil }
    return LinearSegment(linears[index].matrix, out: output.pointer, stride: linears[index].matrix.rows)
  }

  private func addBias(_ linears: [Linear], _ index: Int, to output: Buffer<Float>?) {
    guard let output, let bias = linears[index].bias else { return }
    overRows { range in
      for row in range { kernels.add(bias.pointer, to: output.pointer + row * bias.count, count: bias.count) }
    }
  }

  /// activated = SiLU(gate) × up, ready for a projection.
  func activate() {
    let target = workspace.activated
    let width = target.columns
    let (gate, up) = (workspace.gate.pointer, workspace.up.pointer)
    overRows { range in
      for row in range {
        kernels.activate(
          .silu, gate: gate + row * width, up: up + row * width, out: target[row], count: width)
      }
      quantize(target, range)
    }
  }
}

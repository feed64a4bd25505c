import Kernels

/// The steps that layers are made of, over the rows of one forward pass.
///
/// Passes of few rows run the small steps on the calling thread, where a join would cost more than the work.
struct Pass {
  let workspace: ForwardWorkspace
  let team: WorkerTeam
  let rows: Int

  private var kernels: InstructionSet { workspace.kernels }

  /// Runs `body` over ranges of rows.
  @inline(__always)
  private func overRows(_ body: (Range<Int>) -> Void) {
    if rows < 8 { body(0..<rows) } else { team.parallelFor(rows, body) }
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

  /// outputs = input × matricesᵀ + biases.
  func project(_ group: LinearGroup, _ input: Activations, _ outputs: [Buffer<Float>]) {
    multiply(group, input, outputs, accumulate: false)
  }

  /// hidden += input × matrixᵀ + bias.
  func addProjection(_ group: LinearGroup, _ input: Activations) {
    multiply(group, input, [workspace.hidden], accumulate: true)
  }

  private func multiply(_ group: LinearGroup, _ input: Activations, _ outputs: [Buffer<Float>], accumulate: Bool) {
    let segment = { (index: Int) -> LinearSegment? in
      guard index < group.linears.count else { return nil }
      let matrix = group.linears[index].matrix
      return LinearSegment(matrix, out: outputs[index].pointer, stride: matrix.rows, accumulates: accumulate)
    }
    guard let first = segment(0) else { return }
    kernels.linear(
      first, segment(1), segment(2), activations: input, tokens: rows, arithmetic: workspace.arithmetic, team: team)
    for (index, linear) in group.linears.enumerated() {
      guard let bias = linear.bias else { continue }
      let output = outputs[index].pointer
      overRows { range in
        for row in range { kernels.add(bias.pointer, to: output + row * bias.count, count: bias.count) }
      }
    }
  }

  /// activated = SiLU(gate) × up, ready for a projection.
  func activate() {
    let target = workspace.activated
    let width = target.columns
    let (gate, up) = (workspace.gate.pointer, workspace.up.pointer)
    overRows { range in
      for row in range {
        kernels.siluMultiply(gate: gate + row * width, up: up + row * width, out: target[row], count: width)
      }
      quantize(target, range)
    }
  }
}

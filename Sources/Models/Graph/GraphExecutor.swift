import CLibrary
import KVCaches
import Kernels

/// Runs instructions over the rows of one step.
///
/// Steps of few rows run the small operations on the calling thread, where a join would cost more than the work.
struct GraphExecutor {
  let workspace: ForwardWorkspace
  let team: WorkerTeam
  let rows: Int

  var kernels: InstructionSet { workspace.kernels }

  /// Whether the rows are too few for small operations to be worth a join.
  var isShort: Bool { rows < 8 }

  /// Runs `body` over ranges of rows.
  @inline(__always)
  private func overRows(_ body: (Range<Int>) -> Void) {
    if isShort { body(0..<rows) } else { team.parallelFor(rows, body) }
  }

  /// Row 0 of a buffer of the plan.
  @inline(__always)
  func row0(_ buffer: Int) -> UnsafeMutablePointer<Float> { workspace.pointers.pointer[buffer] }

  /// Runs the instructions of a layer.
  func run<Attention: LayerAttention>(
    _ instructions: UnsafeBufferPointer<Instruction>, _ projections: UnsafePointer<Projection>, layer: Int,
    attention: Attention
  ) {
    for instruction in instructions {
      switch instruction {
      case .beginAttention(let queries): attention.begin(layer: layer, queries: row0(queries))
      case .offerAttention(let keys, let values):
        attention.offer(layer: layer, keys: row0(keys), values: row0(values))
      case .finishAttention(let keys, let values, let output):
        attention.finish(
          layer: layer, keys: keys.map { UnsafePointer(row0($0)) }, values: values.map { UnsafePointer(row0($0)) },
          output: row0(output))
        if quantizes(output) { overRows { quantize(output, $0) } }
      case .convolve(let convolution, let input, let output):
        attention.convolve(layer: layer, convolution, input: row0(input), output: row0(output))
        if quantizes(output) { overRows { quantize(output, $0) } }
      case .deltaRule(let mixed, let decays, let betas, let rates, let offsets, let output):
        attention.applyDeltaRule(
          layer: layer,
          DeltaRuleCall(
            mixed: row0(mixed), decays: row0(decays), betas: row0(betas), rates: rates, offsets: offsets,
            output: row0(output)))
        if quantizes(output) { overRows { quantize(output, $0) } }
      default: run(instruction, projections)
      }
    }
  }

  /// Runs one instruction that is not attention's.
  func run(_ instruction: Instruction, _ projections: UnsafePointer<Projection>) {
    switch instruction {
    case .normalize(let norm, let input, let output): normalize(norm, from: input, to: output)
    case .project(let index, let input): project(projections + index, input)
    case .activate(let activation, let gate, let up, let output, let width):
      activate(activation, gate: gate, up: up, to: output, width: width)
    case .add(let y, let x, let width):
      overRows { range in
        let offset = range.lowerBound * width
        kernels.add(row0(y) + offset, to: row0(x) + offset, count: range.count * width)
      }
    case .scale(let x, let factor, let width):
      overRows {
        kernels.scale(row0(x) + $0.lowerBound * width, by: factor, count: $0.count * width)
        quantize(x, $0)
      }
    case .softCap(let x, let cap, let width):
      overRows {
        kernels.softCap(row0(x) + $0.lowerBound * width, cap: cap, count: $0.count * width)
        quantize(x, $0)
      }
    case .multiply(let x, let y, let out, let width):
      overRows { range in
        let offset = range.lowerBound * width
        kernels.multiply(row0(x) + offset, row0(y) + offset, out: row0(out) + offset, count: range.count * width)
        quantize(out, range)
      }
    case .scaleEach(let x, let factors, let count, let width):
      overRows { range in
        for part in range.lowerBound * width / count..<range.upperBound * width / count {
          kernels.multiply(row0(x) + part * count, factors, out: row0(x) + part * count, count: count)
        }
        quantize(x, range)
      }
    case .gateRows(let x, let gate, let width):
      overRows { range in
        for row in range {
          kernels.scale(row0(x) + row * width, by: 1 / (1 + exp(-row0(gate)[row])), count: width)
        }
        quantize(x, range)
      }
    case .clamp(let x, let limit, let width):
      overRows {
        kernels.clamp(row0(x) + $0.lowerBound * width, to: limit, count: $0.count * width)
        quantize(x, $0)
      }
    case .slice(let x, let offset, let stride, let out, let width):
      overRows { range in
        for row in range {
          (row0(out) + row * width).update(from: row0(x) + row * stride + offset, count: width)
        }
        quantize(out, range)
      }
    case .copy(let x, let out, let width):
      overRows { range in
        let offset = range.lowerBound * width
        (row0(out) + offset).update(from: row0(x) + offset, count: range.count * width)
        quantize(out, range)
      }
    case .mixExperts(let layer, let scores, let input, let output):
      mixExperts(layer, scores: row0(scores), input: row0(input), output: row0(output))
      if quantizes(output) { overRows { quantize(output, $0) } }
    case .beginAttention, .offerAttention, .finishAttention, .convolve, .deltaRule:
      preconditionFailure("memory belongs to a layer")
    case .tableRows: preconditionFailure("tokens are known where embeddings are made")
    }
  }

  /// hidden = rows of the embedding, times a factor if there is one.
  func embed(_ tokens: UnsafeBufferPointer<Int32>, from embedding: PackedMatrix, scale: Float?) {
    let (hidden, width) = (row0(BufferPlan.hidden), embedding.columns)
    overRows { range in
      for row in range {
        embedding.copyRow(Int(tokens[row]), to: hidden + row * width)
        if let scale { kernels.scale(hidden + row * width, by: scale, count: width) }
      }
    }
  }

  private func normalize(_ norm: Normalization, from input: Int, to output: Int) {
    let (x, y) = (row0(input), row0(output))
    overRows { range in
      for part in range.lowerBound * norm.count..<range.upperBound * norm.count {
        let offset = part * norm.size
        switch norm.kind {
        case .rootMeanSquare:
          kernels.rmsNorm(
            x + offset, weight: norm.weight, out: y + offset, count: norm.size, epsilon: norm.epsilon)
        case .layer:
          guard let weight = norm.weight else { preconditionFailure("a LayerNorm has weights") }
          kernels.layerNorm(
            x + offset, weight: weight, bias: norm.bias, out: y + offset, count: norm.size, epsilon: norm.epsilon)
        }
      }
      quantize(output, range)
    }
  }

  private func activate(_ activation: Activation, gate: Int, up: Int?, to output: Int, width: Int) {
    let (gate, up, out) = (row0(gate), up.map { row0($0) }, row0(output))
    overRows { range in
      for row in range {
        kernels.activate(
          activation, gate: gate + row * width, up: up.map { $0 + row * width }, out: out + row * width, count: width)
      }
      quantize(output, range)
    }
  }

  private func quantizes(_ buffer: Int) -> Bool {
    workspace.arithmetic == .int8 && workspace.activations[buffer]?.isQuantizable ?? false
  }

  /// Readies rows that were written in place for a product.
  private func quantize(_ buffer: Int, _ range: Range<Int>) {
    guard workspace.arithmetic == .int8, let activations = workspace.activations[buffer], activations.isQuantizable
    else { return }
    activations.quantizeRows(range, with: kernels)
  }

  /// outputs = input × matricesᵀ + biases, or added to what is there, with what adapters add.
  func project(_ projection: UnsafePointer<Projection>, _ input: Int) {
    guard let activations = workspace.activations[input] else {
      preconditionFailure("a product of what no product was planned for")
    }
    kernels.linear(
      segment(projection.pointee.first, of: projection), projection.pointee.second.map { segment($0, of: projection) },
      projection.pointee.third.map { segment($0, of: projection) }, downSegment(projection), activations: activations,
      tokens: rows, arithmetic: workspace.arithmetic, team: team)
    addLowRank(projection, activations)
    addBias(of: projection.pointee.first)
    if let second = projection.pointee.second { addBias(of: second) }
    if let third = projection.pointee.third { addBias(of: third) }
  }

  private func segment(_ product: Projection.Product, of projection: UnsafePointer<Projection>) -> LinearSegment {
    product.matrix.writing(to: row0(product.output), accumulates: projection.pointee.accumulates)
  }

  private func addBias(of product: Projection.Product) {
    guard let bias = product.bias else { return }
    let (output, width) = (row0(product.output), product.matrix.rows)
    overRows { range in
      for row in range { kernels.add(bias, to: output + row * width, count: width) }
    }
  }
}

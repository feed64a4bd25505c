import CLibrary
package import Kernels

/// A gated delta rule's numbers for the rows of a step.
package struct DeltaRuleCall: BitwiseCopyable {
  /// Queries, keys and values of each token, `[token, width of the rule]`; queries and keys are normalised in place.
  package let mixed: UnsafeMutablePointer<Float>
  /// What the decay is made of, `[token, value head]`: replaced by the decay itself.
  package let decays: UnsafeMutablePointer<Float>
  /// How much of a value is taken in, before the sigmoid, `[token, value head]`: replaced by its sigmoid.
  package let betas: UnsafeMutablePointer<Float>
  /// A decay is exp(rate · softplus(x + offset)), `[value head]`; rates are negative.
  package let rates: UnsafePointer<Float>
  package let offsets: UnsafePointer<Float>
  /// `[token, value head, valueDim]`
  package let output: UnsafeMutablePointer<Float>

  package init(
    mixed: UnsafeMutablePointer<Float>, decays: UnsafeMutablePointer<Float>, betas: UnsafeMutablePointer<Float>,
    rates: UnsafePointer<Float>, offsets: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    self.mixed = mixed
    self.decays = decays
    self.betas = betas
    self.rates = rates
    self.offsets = offsets
    self.output = output
  }
}

/// The part of a batch that belongs to one sequence, and that sequence's recurrent states.
struct RecurrentSegment {
  var first: Int
  var count: Int
  /// `[layer][state]`
  var state: UnsafeMutablePointer<Float>
}

/// Layers with a recurrent state: each sequence of the step goes on from its own.
extension LocalAttention {
  /// Added to the sum of squares by which queries and keys are divided.
  private static let normEpsilon: Float = 1e-6

  package func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) {
    let width = convolution.channels
    let panels = (width + InstructionSet.convolutionPanel - 1) / InstructionSet.convolutionPanel
    let first = recurrentLayout.first[layer]
    team.parallelFor(panels) { range in
      for index in 0..<recurrentCount {
        let segment = recurrentSegments.pointer[index]
        kernels.convolve(
          convolution, panels: range, tokens: segment.count, input: input + segment.first * width,
          history: segment.state + first, out: output + segment.first * width)
      }
    }
  }

  package func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) {
    guard let recurrence = layers[layer].recurrence, let rule = recurrence.deltaRule else {
      preconditionFailure("a layer without a delta rule")
    }
    let rows =
      recurrentCount == 0
      ? 0
      : recurrentSegments.pointer[recurrentCount - 1].first
        + recurrentSegments.pointer[recurrentCount - 1].count
    team.parallelFor(rows) { range in
      for row in range { prepare(row, rule, call) }
    }
    let first = recurrentLayout.first[layer] + recurrence.historyFloats
    team.parallelFor(rule.valueHeads) { heads in
      for head in heads {
        let keys = rule.keyHead(of: head) * rule.keyDim
        for index in 0..<recurrentCount {
          let segment = recurrentSegments.pointer[index]
          let mixed = call.mixed + segment.first * rule.width
          let gates = segment.first * rule.valueHeads + head
          kernels.deltaRule(
            tokens: segment.count, keyDim: rule.keyDim, valueDim: rule.valueDim, queries: mixed + keys,
            keys: mixed + rule.keyHeads * rule.keyDim + keys,
            values: mixed + 2 * rule.keyHeads * rule.keyDim + head * rule.valueDim, stride: rule.width,
            decays: call.decays + gates, betas: call.betas + gates, gateStride: rule.valueHeads,
            state: segment.state + first + head * rule.headFloats, out: call.output + gates * rule.valueDim,
            outStride: rule.valueHeads * rule.valueDim)
        }
      }
    }
  }

  /// Normalises a token's queries and keys, and turns its gates into what the rule multiplies by.
  private func prepare(_ row: Int, _ rule: Recurrence.DeltaRule, _ call: DeltaRuleCall) {
    let (dim, mixed) = (rule.keyDim, call.mixed + row * rule.width)
    let root = Float(dim).squareRoot()
    for head in 0..<2 * rule.keyHeads {
      let vector = mixed + head * dim
      kernels.rmsNorm(vector, weight: nil, out: vector, count: dim, epsilon: Self.normEpsilon / Float(dim))
      // A norm of the mean square is the square root of `dim` too long; queries are divided by it once more.
      kernels.scale(vector, by: head < rule.keyHeads ? 1 / Float(dim) : 1 / root, count: dim)
    }
    for head in 0..<rule.valueHeads {
      let index = row * rule.valueHeads + head
      let x = call.decays[index] + call.offsets[head]
      let softplus = max(x, 0) + log1p(exp(-abs(x)))
      call.decays[index] = exp(call.rates[head] * softplus)
      call.betas[index] = 1 / (1 + exp(-call.betas[index]))
    }
  }
}

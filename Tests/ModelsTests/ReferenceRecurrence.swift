import Foundation
import KVCaches
import Kernels

/// Recurrent layers in Float64, token after token, by their definitions.
final class ReferenceRecurrence {
  private let layers: [AttentionLayer]
  /// Inputs of the convolution so far, `[layer][token][channel]`.
  private var inputs: [[[Double]]]
  /// `[layer][value head][keyDim][valueDim]`
  private var states: [[[[Double]]]]

  init(_ layers: [AttentionLayer]) {
    self.layers = layers
    inputs = layers.map { _ in [] }
    states = layers.map { layer in
      guard let rule = layer.recurrence?.deltaRule else { return [] }
      let row = [Double](repeating: 0, count: rule.valueDim)
      return Array(repeating: Array(repeating: row, count: rule.keyDim), count: rule.valueHeads)
    }
  }

  func convolve(
    layer: Int, _ convolution: Convolution, rows: Int, input: UnsafePointer<Float>,
    output: UnsafeMutablePointer<Float>
  ) {
    let width = convolution.channels
    for row in 0..<rows {
      inputs[layer].append((0..<width).map { Double(input[row * width + $0]) })
      for channel in 0..<width {
        var sum = convolution.bias.map { Double($0[channel]) } ?? 0
        for back in 0..<min(convolution.span, inputs[layer].count) {
          let weight = convolution.weights[(convolution.span - 1 - back) * width + channel]
          sum += Double(weight) * inputs[layer][inputs[layer].count - 1 - back][channel]
        }
        output[row * width + channel] = Float(convolution.hasSilu ? sum / (1 + exp(-sum)) : sum)
      }
    }
  }

  func applyDeltaRule(layer: Int, _ call: DeltaRuleCall, rows: Int) {
    guard let rule = layers[layer].recurrence?.deltaRule else { return }
    let share = rule.valueHeads / rule.keyHeads
    for row in 0..<rows {
      let mixed = (0..<rule.width).map { Double(call.mixed[row * rule.width + $0]) }
      for head in 0..<rule.valueHeads {
        let gate = row * rule.valueHeads + head
        let decay = exp(
          Double(call.rates[head]) * log1p(exp(Double(call.decays[gate]) + Double(call.offsets[head]))))
        let beta = 1 / (1 + exp(-Double(call.betas[gate])))
        let keyHead = rule.interleavesHeads ? head % rule.keyHeads : head / share
        let unit = { (first: Int) -> [Double] in
          let vector = mixed[first..<first + rule.keyDim]
          let length = (vector.reduce(0) { $0 + $1 * $1 } + 1e-6).squareRoot()
          return vector.map { $0 / length }
        }
        let query = unit(keyHead * rule.keyDim).map { $0 / Double(rule.keyDim).squareRoot() }
        let key = unit((rule.keyHeads + keyHead) * rule.keyDim)
        for column in 0..<rule.valueDim {
          var state = states[layer][head].map { $0[column] * decay }
          let known = zip(state, key).reduce(0) { $0 + $1.0 * $1.1 }
          let value = mixed[2 * rule.keyHeads * rule.keyDim + head * rule.valueDim + column]
          for index in state.indices {
            state[index] += key[index] * beta * (value - known)
            states[layer][head][index][column] = state[index]
          }
          call.output[gate * rule.valueDim + column] = Float(zip(state, query).reduce(0) { $0 + $1.0 * $1.1 })
        }
      }
    }
  }
}

import CLibrary
import Kernels

/// Mixtures of experts: rows are gathered expert by expert, so that each matrix is read once a step.
extension GraphExecutor {
  /// What the sum of a row's weights is at least, where they are divided by it.
  private static var smallestSum: Float { 6.103515625e-5 }

  /// output = the sum over each row's experts of weight × expert(input row).
  func mixExperts(
    _ layer: UnsafePointer<ExpertLayer>, scores: UnsafePointer<Float>, input: UnsafePointer<Float>,
    output: UnsafeMutablePointer<Float>
  ) {
    guard let space = workspace.experts else { preconditionFailure("experts that no room was planned for") }
    let (layer, columns) = (layer.pointee, space.input.columns)
    for row in 0..<rows { choose(layer, scores + row * layer.count, row: row, space) }
    sort(layer, space)
    output.update(repeating: 0, count: rows * columns)
    for expert in 0..<layer.count {
      let choices = Int(space.first.pointer[expert])..<Int(space.first.pointer[expert + 1])
      guard !choices.isEmpty else { continue }
      run(expert, layer, choices, input, space)
      for (index, choice) in choices.enumerated() {
        let place = Int(space.order.pointer[choice])
        kernels.add(
          space.output.pointer + index * columns, times: space.weights.pointer[place],
          to: output + place / layer.used * columns, count: columns)
      }
    }
  }

  /// Chooses the experts of a row, best first, and what each counts.
  private func choose(_ layer: ExpertLayer, _ logits: UnsafePointer<Float>, row: Int, _ space: ExpertWorkspace) {
    let probabilities = space.scores.pointer
    probabilities.update(from: logits, count: layer.count)
    if layer.usesSigmoid {
      for expert in 0..<layer.count { probabilities[expert] = 1 / (1 + exp(-probabilities[expert])) }
    } else {
      kernels.softmax(probabilities, count: layer.count)
    }
    let (chosen, weights) = (space.chosen.pointer + row * layer.used, space.weights.pointer + row * layer.used)
    var sum: Float = 0
    for choice in 0..<layer.used {
      var (best, most) = (-1, -Float.infinity)
      for expert in 0..<layer.count where !isAmong(chosen, choice, expert) {
        let score = probabilities[expert] + (layer.selectionBias?[expert] ?? 0)
        // Broken numbers come last, but come: a row always has its experts.
        if best < 0 || score > most { (best, most) = (expert, score) }
      }
      chosen[choice] = Int32(best)
      weights[choice] = probabilities[best]
      sum += probabilities[best]
    }
    let factor = layer.scale / (layer.normalizes ? max(sum, Self.smallestSum) : 1)
    for choice in 0..<layer.used { weights[choice] *= factor * (layer.scales?[Int(chosen[choice])] ?? 1) }
  }

  private func isAmong(_ chosen: UnsafePointer<Int32>, _ count: Int, _ expert: Int) -> Bool {
    for index in 0..<count where chosen[index] == expert { return true }
    return false
  }

  /// Orders the choices of all rows by expert, and within one by row.
  private func sort(_ layer: ExpertLayer, _ space: ExpertWorkspace) {
    let (first, order, count) = (space.first.pointer, space.order.pointer, rows * layer.used)
    first.update(repeating: 0, count: layer.count + 1)
    for choice in 0..<count { first[Int(space.chosen.pointer[choice]) + 1] += 1 }
    for expert in 0..<layer.count { first[expert + 1] += first[expert] }
    for choice in (0..<count).reversed() {
      let expert = Int(space.chosen.pointer[choice])
      first[expert + 1] -= 1
      order[Int(first[expert + 1])] = Int32(choice)
    }
    // Each count has walked back to where the expert's choices begin.
    for expert in 0..<layer.count { first[expert] = first[expert + 1] }
    first[layer.count] = Int32(count)
  }

  /// Runs one expert over the rows that chose it, into `space.output`.
  private func run(
    _ expert: Int, _ layer: ExpertLayer, _ choices: Range<Int>, _ input: UnsafePointer<Float>, _ space: ExpertWorkspace
  ) {
    let (count, columns, inner) = (choices.count, space.input.columns, layer.feedForward)
    for (index, choice) in choices.enumerated() {
      let row = Int(space.order.pointer[choice]) / layer.used
      (space.input.values.pointer + index * columns).update(from: input + row * columns, count: columns)
    }
    let isInteger = workspace.arithmetic == .int8
    if isInteger, space.input.isQuantizable { space.input.quantizeRows(0..<count, with: kernels) }
    let (gate, up, out) = (space.inner.values.pointer, space.up.pointer, space.output.pointer)
    kernels.linear(
      layer.gates[expert].writing(to: gate), layer.ups[expert].writing(to: up), activations: space.input,
      tokens: count, arithmetic: workspace.arithmetic, team: team)
    add(layer.gateBiases, expert, width: inner, to: gate, rows: count)
    add(layer.upBiases, expert, width: inner, to: up, rows: count)
    kernels.activate(layer.activation, gate: gate, up: up, out: gate, count: count * inner)
    if isInteger, space.inner.isQuantizable { space.inner.quantizeRows(0..<count, with: kernels) }
    kernels.linear(
      layer.downs[expert].writing(to: out), activations: space.inner, tokens: count, arithmetic: workspace.arithmetic,
      team: team)
    add(layer.downBiases, expert, width: columns, to: out, rows: count)
  }

  private func add(
    _ biases: UnsafePointer<Float>?, _ expert: Int, width: Int, to out: UnsafeMutablePointer<Float>, rows: Int
  ) {
    guard let biases else { return }
    for row in 0..<rows { kernels.add(biases + expert * width, to: out + row * width, count: width) }
  }
}

/// Values of the same thing measured on several texts.
struct Spread: Sendable {
  let mean, lowest, highest: Double

  init(_ values: [Double]) {
    precondition(!values.isEmpty, "a spread is of something")
    mean = values.reduce(0, +) / Double(values.count)
    lowest = values.min() ?? 0
    highest = values.max() ?? 0
  }
}

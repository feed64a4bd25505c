import Engine
import Foundation

/// Queries, keys and values of one head on which sketches are tried.
package struct SketchInstance: Sendable {
  package let name: String
  /// `[token][dim]`, scaled so that a logit is the plain inner product.
  package let queries, keys: [[Double]]
  /// `[token][valueDim]`
  package let values: [[Double]]
  /// The largest |logit|.
  package let bound: Double

  package init(name: String, queries: [[Double]], keys: [[Double]], values: [[Double]], bound: Double) {
    precondition(queries.count == keys.count && keys.count == values.count && !keys.isEmpty)
    self.name = name
    self.queries = queries
    self.keys = keys
    self.values = values
    self.bound = bound
  }

  package var tokens: Int { keys.count }
  package var dim: Int { keys[0].count }
  package var valueDim: Int { values[0].count }

  /// Unit keys and queries of length `bound` in random directions, standard normal values: no row of the output stands out.
  package static func dense(
    tokens: Int = 2000, dim: Int = 4, valueDim: Int = 1, bound: Double = 1, seed: UInt64
  ) -> SketchInstance {
    var random = RandomSource(seed: seed)
    func directions(_ length: Double) -> [[Double]] {
      (0..<tokens).map { _ in random.direction(dim).map { $0 * length } }
    }
    return SketchInstance(
      name: "dense", queries: directions(bound), keys: directions(1),
      values: (0..<tokens).map { _ in (0..<valueDim).map { _ in random.normal() } }, bound: bound)
  }

  /// One query in a hundred attends to the one key in a hundred with a large value; the rest sees a mean of nearly 0.
  package static func sparse(tokens: Int = 2000, dim: Int = 4, seed: UInt64) -> SketchInstance {
    var random = RandomSource(seed: seed)
    let bound = 4.0
    let direction = random.direction(dim)
    // Those with the smallest of as many random numbers.
    func signs() -> [Double] {
      let draws = (0..<tokens).map { _ in random.next() }
      let last = draws.sorted()[hot(of: tokens) - 1]
      return draws.map { $0 <= last ? 1 : -1 }
    }
    let (keySigns, querySigns) = (signs(), signs())
    var values = keySigns.map { $0 > 0 ? 3 + 0.3 * random.normal() : 0.05 * random.normal() }
    let rest = values.indices.filter { keySigns[$0] < 0 }
    let mean = rest.reduce(0) { $0 + values[$1] } / Double(max(rest.count, 1))
    for index in rest { values[index] -= mean }
    return SketchInstance(
      name: "sparse", queries: querySigns.map { sign in direction.map { $0 * sign * bound } },
      keys: keySigns.map { sign in direction.map { $0 * sign } }, values: values.map { [$0] }, bound: bound)
  }

  /// Queries of a sparse instance whose output is large.
  package static func hot(of tokens: Int) -> Int { max(tokens / 100, 1) }

  /// Exact attention, `[token][valueDim]`, at tokens² steps.
  package func attention() -> [[Double]] {
    queries.map { query in
      var sum = 0.0
      var output = [Double](repeating: 0, count: valueDim)
      for (key, value) in zip(keys, values) {
        let weight = exp(zip(query, key).reduce(0) { $0 + $1.0 * $1.1 })
        sum += weight
        for index in output.indices { output[index] += weight * value[index] }
      }
      return output.map { $0 / sum }
    }
  }
}

extension RandomSource {
  /// A standard normal number (Box and Muller, one of the pair).
  fileprivate mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * .pi * unit())
  }

  /// A unit vector, all directions alike.
  fileprivate mutating func direction(_ dim: Int) -> [Double] {
    let vector = (0..<dim).map { _ in normal() }
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return vector.map { $0 / length }
  }
}

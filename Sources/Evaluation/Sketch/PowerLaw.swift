import Foundation

/// Powers of one quantity that another one follows.
package enum PowerLaw {
  /// The p for which y = c x^p is nearest to points in the least squares of logarithms; nil for fewer than two abscissae.
  package static func exponent(_ points: [(x: Double, y: Double)]) -> Double? {
    let logs = points.map { (log($0.x), log($0.y)) }
    let count = Double(logs.count)
    let center = logs.reduce((0, 0)) { ($0.0 + $1.0 / count, $0.1 + $1.1 / count) }
    let square = logs.reduce(0) { $0 + ($1.0 - center.0) * ($1.0 - center.0) }
    guard square > 0 else { return nil }
    return logs.reduce(0) { $0 + ($1.0 - center.0) * ($1.1 - center.1) } / square
  }
}

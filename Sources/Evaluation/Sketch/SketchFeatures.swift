package import KVCaches
import Kernels

/// The exact feature map of a polynomial of an inner product: `<query(q), key(k)>` is P(<q, k>), to rounding.
///
/// All coefficients stand on the side of the query, so what is summed over keys does not depend on the polynomial. The
/// source counts products of all variables of both vectors, C(2(d + g), 2g); those that pair up are C(d + g, g).
package struct SketchFeatures: Sendable {
  package let table: MonomialTable
  package let polynomial: ExponentialPolynomial
  /// coefficient × multiplicity, `[feature]`
  package let weights: [Double]

  /// - Parameter dim: entries of a query and of a key
  package init(dim: Int, polynomial: ExponentialPolynomial) {
    table = MonomialTable(variables: dim, degree: polynomial.degree)
    self.polynomial = polynomial
    weights = (0...polynomial.degree).flatMap { [table] level in
      table.products(ofDegree: level).map { polynomial.coefficients[level] * table.multiplicities[$0] }
    }
  }

  package var count: Int { table.count }

  /// The features of a key, `[feature]`.
  package func key(_ key: [Double]) -> [Double] {
    precondition(key.count == table.variables, "a key of another size")
    var features = [Double](repeating: 0, count: count)
    features.withUnsafeMutableBufferPointer { out in
      key.withUnsafeBufferPointer { key in
        guard let key = key.baseAddress, let out = out.baseAddress else { return }
        table.evaluate(key, into: out)
      }
    }
    return features
  }

  /// The features of a query, `[feature]`.
  package func query(_ query: [Double]) -> [Double] { zip(key(query), weights).map { $0 * $1 } }
}

package import Kernels

/// All products of up to `degree` of some variables, each of them once: the features of a polynomial of an inner product.
///
/// For vectors q and k, `<q, k>^j` is the sum over the products of degree j of multiplicity × product over q × product over
/// k, so a polynomial of the inner product is an inner product of features. There are C(variables + degree, degree).
///
/// The order is graded: 1, the variables, their products of two, and so on. A product of degree j is one of degree j − 1
/// times a variable that does not come before its last one, and those made from one product follow each other, so all
/// of them cost one multiplication each, in runs.
package struct MonomialTable: Sendable {
  package let variables: Int
  package let degree: Int
  /// How often a product occurs in the power of the inner product: j! / (product over variables of exponent!).
  package let multiplicities: Buffer<Double>
  /// The last variable of each product; 0 for the constant.
  private let lastVariables: Buffer<Int32>
  /// Where the products of each degree begin, and the end, `[degree + 2]`.
  private let starts: Buffer<Int32>

  /// - Precondition: `count(variables:degree:)` says that there are so many.
  package init(variables: Int, degree: Int) {
    guard let count = Self.count(variables: variables, degree: degree) else {
      preconditionFailure("more products than can be numbered")
    }
    self.variables = variables
    self.degree = degree
    multiplicities = Buffer(count: count)
    lastVariables = Buffer(count: count)
    starts = Buffer(count: degree + 2)
    multiplicities[0] = 1
    starts[1] = 1
    // How often the last variable occurs in each product.
    var exponents = [0]
    var next = 1
    for level in 1..<max(degree + 1, 1) {
      for parent in Int(starts[level - 1])..<Int(starts[level]) {
        for variable in Int(lastVariables[parent])..<variables {
          let exponent = level > 1 && variable == Int(lastVariables[parent]) ? exponents[parent] + 1 : 1
          multiplicities[next] = multiplicities[parent] * Double(level) / Double(exponent)
          lastVariables[next] = Int32(variable)
          exponents.append(exponent)
          next += 1
        }
      }
      starts[level + 1] = Int32(next)
    }
    assert(next == count)
  }

  /// C(variables + degree, degree), or nil beyond 2^24, which nobody can want to store.
  package static func count(variables: Int, degree: Int) -> Int? {
    precondition(variables >= 1 && degree >= 0, "products of some variables")
    var count = 1
    for level in 0..<degree {
      let (product, overflow) = count.multipliedReportingOverflow(by: variables + level + 1)
      guard !overflow else { return nil }
      count = product / (level + 1)
      guard count <= 1 << 24 else { return nil }
    }
    return count
  }

  package var count: Int { multiplicities.count }

  /// The products of one degree.
  package func products(ofDegree level: Int) -> Range<Int> {
    Int(starts.pointer[level])..<Int(starts.pointer[level + 1])
  }

  /// Writes all products of `x`, `[variables]`, to `out`, `[count]`.
  package func evaluate(_ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>) { fill(x, out) }

  /// Writes all products of `x`, `[variables]`, to `out`, `[count]`.
  package func evaluate(_ x: UnsafePointer<Double>, into out: UnsafeMutablePointer<Double>) { fill(x, out) }

  @inline(__always)
  private func fill<Scalar: BinaryFloatingPoint>(_ x: UnsafePointer<Scalar>, _ out: UnsafeMutablePointer<Scalar>) {
    out[0] = 1
    guard degree > 0 else { return }
    out.advanced(by: 1).update(from: x, count: variables)
    let last = lastVariables.pointer
    var next = 1 + variables
    // Every product of a lower degree, but the constant, is the parent of a run.
    for parent in 1..<max(Int(starts.pointer[degree]), 1) {
      let value = out[parent]
      let first = Int(last[parent])
      for variable in first..<variables {
        out[next] = value * x[variable]
        next += 1
      }
    }
  }
}

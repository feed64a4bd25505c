import Evaluation
import KVCaches
import Kernels
import TestSupport
import Testing

/// The feature map: an inner product of features is a polynomial of the inner product.
@Suite struct SketchFeaturesTests {
  @Test(arguments: 1...6, 0...6) func `features give the polynomial`(dim: Int, degree: Int) {
    var random = SplitMix64(seed: UInt64(100 * dim + degree))
    let polynomial = ExponentialPolynomial(coefficients: (0...degree).map { _ in Double(random.normal()) })
    let features = SketchFeatures(dim: dim, polynomial: polynomial)
    for _ in 0..<20 {
      let query = random.normals(dim, scale: 0.7).map(Double.init)
      let key = random.normals(dim, scale: 0.7).map(Double.init)
      let expected = polynomial(zip(query, key).reduce(0) { $0 + $1.0 * $1.1 })
      let terms = zip(features.query(query), features.key(key)).map { $0 * $1 }
      let size = terms.reduce(1) { $0 + abs($1) }
      #expect(abs(terms.reduce(0, +) - expected) < 1e-10 * size)
    }
  }

  @Test(arguments: [(4, 4, 70), (8, 4, 495), (64, 2, 2_145), (128, 2, 8_385), (64, 4, 814_385), (1, 5, 6), (3, 0, 1)])
  func `there are as many features as products`(dim: Int, degree: Int, count: Int) {
    #expect(MonomialTable.count(variables: dim, degree: degree) == count)
    if count < 10_000 { #expect(MonomialTable(variables: dim, degree: degree).count == count) }
  }

  @Test func `what cannot be numbered has no count`() {
    #expect(MonomialTable.count(variables: 64, degree: 8) == nil)
    #expect(MonomialTable.count(variables: 1 << 40, degree: 4) == nil)
  }

  @Test func `products come by degree, each of them once`() {
    let table = MonomialTable(variables: 3, degree: 3)
    // Prime numbers tell products apart.
    var products = [Double](repeating: 0, count: table.count)
    [2.0, 3, 5].withUnsafeBufferPointer { primes in
      products.withUnsafeMutableBufferPointer { table.evaluate(primes.baseAddress!, into: $0.baseAddress!) }
    }
    #expect(products == [1, 2, 3, 5, 4, 6, 10, 9, 15, 25, 8, 12, 20, 18, 30, 50, 27, 45, 75, 125])
    #expect(
      Array(table.multiplicities.elements) == [1, 1, 1, 1, 1, 2, 2, 1, 2, 1, 1, 3, 3, 3, 6, 3, 1, 3, 3, 1])
    #expect((0...3).map { table.products(ofDegree: $0) } == [0..<1, 1..<4, 4..<10, 10..<20])
  }
}

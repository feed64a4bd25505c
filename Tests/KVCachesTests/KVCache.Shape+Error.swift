import KVCaches
import TestSupport

extension KVCache.Shape {
  /// The largest relative error of any token's output in any layer, and where it is.
  ///
  /// - Parameter outputs: `[layer][token, query head, headDim]`, as `expected`.
  func largestError(_ outputs: [[Float]], _ expected: [[Float]]) -> (error: Float, place: String) {
    let width = queryHeads * headDim
    var largest: (error: Float, place: String) = (0, "")
    for layer in 0..<layers {
      guard outputs[layer].count == expected[layer].count else { return (.infinity, "another number of tokens") }
      for token in 0..<outputs[layer].count / width {
        let range = token * width..<(token + 1) * width
        let error = relativeError(Array(outputs[layer][range]), Array(expected[layer][range]))
        if error > largest.error { largest = (error, "layer \(layer), token \(token)") }
      }
    }
    return largest
  }
}

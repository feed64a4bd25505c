import Foundation

/// A vector rotated by a position as rotary embeddings define it, in Float64; dimensions beyond the pairs stay.
///
/// - Parameters:
///   - frequencies: angle per position of each pair
///   - inHalves: whether pairs are (i, i + pairs), and not (2i, 2i + 1)
package func rotaryReference(_ vector: [Double], by position: Int, frequencies: [Double], inHalves: Bool) -> [Double] {
  var result = vector
  for (index, frequency) in frequencies.enumerated() {
    let angle = Double(position) * frequency
    let (cosine, sine) = (Foundation.cos(angle), Foundation.sin(angle))
    let (first, second) = inHalves ? (index, index + frequencies.count) : (2 * index, 2 * index + 1)
    result[first] = vector[first] * cosine - vector[second] * sine
    result[second] = vector[first] * sine + vector[second] * cosine
  }
  return result
}

/// The largest difference of two vectors, divided by the largest magnitude of the reference (0 for two empty vectors).
///
/// Infinite where the lengths differ or a value is not a number, so that a comparison can never pass by accident.
package func relativeError(_ values: [Float], _ reference: [Float]) -> Float {
  guard values.count == reference.count else { return .infinity }
  var difference: Float = 0
  var magnitude: Float = 0
  for (a, b) in zip(values, reference) {
    guard a.isFinite, b.isFinite else { return .infinity }
    difference = max(difference, abs(a - b))
    magnitude = max(magnitude, abs(b))
  }
  return magnitude > 0 ? difference / magnitude : difference
}

/// The largest absolute difference of two vectors; infinite where the lengths differ or a value is not a number.
package func largestDifference(_ values: [Float], _ reference: [Float]) -> Float {
  guard values.count == reference.count else { return .infinity }
  var largest: Float = 0
  for (a, b) in zip(values, reference) {
    let difference = abs(a - b)
    guard difference.isFinite else { return .infinity }
    largest = max(largest, difference)
  }
  return largest
}

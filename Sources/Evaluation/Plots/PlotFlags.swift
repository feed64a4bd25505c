/// Where the labels of vertical markers stand: to the right of the marker's upper end, like a flag on its pole.
///
/// A flag that would touch the next pole rises by a row, and its pole with it, so that no line crosses a text.
struct PlotFlags {
  struct Flag: Equatable {
    let label: String
    /// The pole.
    let x: Double
    let textStart: Double
    let textEnd: Double
    /// Pixels above the lowest row.
    let rise: Double
  }

  let placed: [Flag]
  /// The height of all rows above the lowest, and of one more where the panel's title needs a row of its own.
  let height: Double
  /// Whether flags and poles leave the title of the panel free, left of `from`.
  let sparesTitle: Bool

  /// Places markers given in pixels; `to` is where the figure ends. Quadratic in the number of markers.
  init(_ markers: [(x: Double, label: String)], from: Double, to end: Double) {
    let row = 16.0
    var placed: [Flag] = []
    func flag(_ marker: (x: Double, label: String), flipped: Bool) -> Flag {
      let width = SVGText.width(marker.label, size: 12)
      let start = flipped ? marker.x - 5 - width : marker.x + 5
      let textEnd = start + width
      let crossed = placed.filter { other in
        (other.x > start - 4 && other.x < textEnd + 4) || (other.textStart < textEnd + 8 && other.textEnd > start - 8)
      }
      let rise = crossed.map { $0.rise + row }.max() ?? 0
      return Flag(label: marker.label, x: marker.x, textStart: start, textEnd: textEnd, rise: rise)
    }
    let sorted = markers.sorted { $0.x < $1.x }
    // From right to left every flag rises above the poles it meets; those at the right edge fly leftwards, above them all.
    func fits(_ marker: (x: Double, label: String)) -> Bool {
      marker.x + 5 + SVGText.width(marker.label, size: 12) <= end
    }
    for marker in sorted.reversed() where fits(marker) { placed.append(flag(marker, flipped: false)) }
    for marker in sorted where !fits(marker) { placed.append(flag(marker, flipped: true)) }
    self.placed = placed
    sparesTitle = placed.allSatisfy { min($0.x, $0.textStart) > from }
    height = (placed.map(\.rise).max() ?? 0) + (sparesTitle ? 0 : row)
  }
}

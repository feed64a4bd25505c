/// A figure as a value: panels stacked over one shared horizontal axis, drawn by `svg()`.
///
/// A line is recognised by its label: the same label has the same colour and dash in every panel and one legend entry.
/// Points that are not finite, or not positive on a logarithmic axis, are left out and interrupt their line.
package struct Plot: Sendable {
  package var title: String
  /// One quieter line below the title: the model, the text, the machine.
  package var subtitle: String
  package var xAxis: Axis
  package var panels: [Panel]
  package var markers: [Marker]

  package init(title: String, subtitle: String = "", xAxis: Axis, panels: [Panel], markers: [Marker] = []) {
    self.title = title
    self.subtitle = subtitle
    self.xAxis = xAxis
    self.panels = panels
    self.markers = markers
  }

  /// What an axis measures and how values become positions.
  package struct Axis: Sendable {
    package enum Scale: Sendable { case linear, logarithmic }

    /// How tick labels are written: `0.25`, `200k` or `16 MiB`.
    package enum Unit: Sendable { case number, count, bytes }

    package var title: String
    package var scale: Scale
    package var unit: Unit
    /// The values shown; nil takes them from the data. Lines are clipped to it.
    package var range: ClosedRange<Double>?
    /// Whether a linear axis taken from the data starts at zero.
    package var includesZero: Bool

    package init(
      _ title: String, scale: Scale = .linear, unit: Unit = .number, range: ClosedRange<Double>? = nil,
      includesZero: Bool = false
    ) {
      self.title = title
      self.scale = scale
      self.unit = unit
      self.range = range
      self.includesZero = includesZero
    }
  }

  /// One drawing area with its own vertical axis.
  package struct Panel: Sendable {
    package var axis: Axis
    package var lines: [Line]
    package var bands: [Band]
    /// The height of the drawing area in pixels.
    package var height: Double

    package init(axis: Axis, lines: [Line], bands: [Band] = [], height: Double = 200) {
      self.axis = axis
      self.lines = lines
      self.bands = bands
      self.height = height
    }
  }

  package struct Point: Sendable, Hashable {
    package var x: Double
    package var y: Double

    package init(_ x: Double, _ y: Double) {
      self.x = x
      self.y = y
    }
  }

  package struct Line: Sendable {
    package var label: String
    package var points: [Point]

    package init(_ label: String, _ points: [Point]) {
      self.label = label
      self.points = points
    }
  }

  /// The area between two curves over the same abscissae, in the colour of the line with the same label.
  package struct Band: Sendable {
    package var label: String
    package var x: [Double]
    package var lower: [Double]
    package var upper: [Double]

    /// The three arrays have one element a point.
    package init(_ label: String, x: [Double], lower: [Double], upper: [Double]) {
      precondition(x.count == lower.count && x.count == upper.count, "a band needs three arrays of one length")
      self.label = label
      self.x = x
      self.lower = lower
      self.upper = upper
    }
  }

  /// A vertical line through all panels with a label above the first, such as the trained length.
  package struct Marker: Sendable {
    package var x: Double
    package var label: String

    package init(x: Double, label: String) {
      self.x = x
      self.label = label
    }
  }
}

/// A machine or accelerator as a roofline knows it.
package struct Device: Sendable, Equatable {
  package var name: String
  /// At the precision of weights.
  package var operationsPerSecond: Double
  package var memoryBytes: Double
  package var bytesPerSecond: Double
  package var dollarsPerHour: Double

  package init(
    name: String, operationsPerSecond: Double, memoryBytes: Double, bytesPerSecond: Double, dollarsPerHour: Double
  ) {
    precondition(operationsPerSecond > 0 && memoryBytes > 0 && bytesPerSecond > 0 && dollarsPerHour > 0)
    self.name = name
    self.operationsPerSecond = operationsPerSecond
    self.memoryBytes = memoryBytes
    self.bytesPerSecond = bytesPerSecond
    self.dollarsPerHour = dollarsPerHour
  }

  /// Accelerators with the numbers of Lamina's paper (arXiv 2405.01814v2, table 1; H20's price is its estimate), and two
  /// servers: one socket of DDR5 with 8 and with 12 channels, their prices estimates of a large cloud's.
  package static let known = [
    Device(
      name: "h100", operationsPerSecond: 989e12, memoryBytes: 80e9, bytesPerSecond: 3.35e12, dollarsPerHour: 11.06),
    Device(name: "h20", operationsPerSecond: 148e12, memoryBytes: 96e9, bytesPerSecond: 4.0e12, dollarsPerHour: 4.63),
    Device(name: "v6e", operationsPerSecond: 918e12, memoryBytes: 32e9, bytesPerSecond: 1.64e12, dollarsPerHour: 2.70),
    Device(
      name: "xeon-48", operationsPerSecond: 50e12, memoryBytes: 768e9, bytesPerSecond: 0.307e12, dollarsPerHour: 6.35),
    Device(
      name: "graviton-96", operationsPerSecond: 8.6e12, memoryBytes: 768e9, bytesPerSecond: 0.537e12,
      dollarsPerHour: 5.65),
  ]

  package static func named(_ name: String) -> Device? { known.first { $0.name == name } }
}

/// The share of its numbers that a device reaches.
package struct Efficiency: Sendable, Equatable {
  package var operations = 0.5
  package var bandwidth = 0.8
  package var memory = 0.9

  package init() {}
}

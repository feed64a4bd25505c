/// Where the time of exchanges with workers goes, in seconds.
package struct OffloadTimes: Sendable {
  /// Layers' exchanges.
  package var exchanges = 0
  /// Putting numbers into frames and taking them out.
  package var packing = 0.0
  /// Handing frames to the system.
  package var sending = 0.0
  /// From the last frame that went out until the answer begins to come: network, attention, and other programs.
  package var waiting = 0.0
  /// Bytes of contents.
  package var bytesSent = 0
  package var bytesReceived = 0

  package init() {}

  /// Those of several workers together.
  init(_ parts: [OffloadTimes]) {
    for part in parts {
      exchanges += part.exchanges
      packing += part.packing
      sending += part.sending
      waiting += part.waiting
      bytesSent += part.bytesSent
      bytesReceived += part.bytesReceived
    }
  }
}

/// Seconds since some moment.
func secondsNow() -> Double {
  let time = ContinuousClock.now.duration(to: clockStart)
  return -(Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18)
}

private let clockStart = ContinuousClock.now

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

  package static func - (a: OffloadTimes, b: OffloadTimes) -> OffloadTimes {
    var result = a
    result.exchanges -= b.exchanges
    result.packing -= b.packing
    result.sending -= b.sending
    result.waiting -= b.waiting
    result.bytesSent -= b.bytesSent
    result.bytesReceived -= b.bytesReceived
    return result
  }

  /// The mean of so many steps.
  package static func / (a: OffloadTimes, steps: Double) -> OffloadTimes {
    var result = a
    (result.packing, result.sending, result.waiting) = (a.packing / steps, a.sending / steps, a.waiting / steps)
    result.exchanges = Int(Double(a.exchanges) / steps)
    (result.bytesSent, result.bytesReceived) = (Int(Double(a.bytesSent) / steps), Int(Double(a.bytesReceived) / steps))
    return result
  }

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

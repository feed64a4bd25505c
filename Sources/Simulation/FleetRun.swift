import Kernels

/// Many equal cells of machines that serve requests as they come, while machines fail: the internet's size.
///
/// A cell is one deployment. A request goes to the cell with the most room, or waits in one queue for all, first come first
/// served. A cell takes step after step (`Pipeline.step`); its sequences join and leave between two of them. A failed
/// machine is noticed after some missed heartbeats; its cell stands until a new one has taken its place, and until the lost
/// keys and values are there again where it was one of memory; the step under way is repeated. Other cells go on.
package struct FleetRun: Sendable, Equatable {
  package struct Options: Sendable {
    package var cells = 1
    /// Requests a second that come to all cells, as a Poisson process.
    package var arrivalsPerSecond = 1.0
    /// Seconds before and while things are measured.
    package var warmUp = 60.0
    package var seconds = 600.0
    package var seed: UInt64 = 1
    package var mostBatchOfCell = Int.max
    /// Mean seconds between two failures of one machine; they never fail without it.
    package var failureSeconds = Double.infinity
    /// Machines of a cell that hold weights, and those that hold keys and values.
    package var modelMachines = 1
    package var memoryMachines = 0
    package var heartbeat = 0.1
    package var missedHeartbeats = 3.0
    /// Seconds until another machine is ready in the place of a lost one.
    package var replacementSeconds = 10.0
    /// Seconds that it takes to have a token's keys and values again.
    package var rebuildSecondsPerToken = 0.0

    package init() {}
  }

  package internal(set) var arrived = 0
  package internal(set) var finished = 0
  /// Longer than a cell's room.
  package internal(set) var refused = 0
  /// Requests there when measuring began and when it ended.
  package internal(set) var presentAtStart = 0
  package internal(set) var presentAtEnd = 0
  package internal(set) var failures = 0
  /// Requests in cells and in the queue, averaged over time.
  package internal(set) var meanRunning = 0.0
  package internal(set) var meanWaiting = 0.0
  package internal(set) var tokensPerSecond = 0.0
  /// The share of the room for tokens that is promised to requests, averaged over time.
  package internal(set) var reservedShare = 0.0
  /// The share of the cells' time in which they worked or could have.
  package internal(set) var availability = 1.0
  /// Seconds from arrival to a place, of those that got one.
  package internal(set) var waiting = LogHistogram()
  /// Seconds from arrival to the last token, of those that finished.
  package internal(set) var residence = LogHistogram()
  /// Seconds between two tokens of a sequence, what failures cost included, weighted by tokens.
  package internal(set) var tokenSeconds = LogHistogram()

  package init(_ pipeline: Pipeline, _ trace: RequestTrace, options: Options) {
    var state = FleetState(pipeline, trace, options)
    while state.advance() {}
    self = state.result
  }

  fileprivate init() {}

  static var empty: FleetRun { FleetRun() }
}

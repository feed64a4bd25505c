import Testing

@testable import KVCaches

/// What the slots of a cache hold, followed by replaying the moves of every step with token numbers for keys.
struct SlotMirror {
  struct Place: Hashable {
    var stage: Int
    var slot: Int
  }

  private(set) var tokens: [Place: (token: Int, clock: Int64)] = [:]
  private(set) var seen = 0

  /// Tokens held, oldest first.
  var retained: [Int] { tokens.values.map(\.token).sorted() }

  /// Replays a step's moves, in order.
  mutating func replay(_ step: StepPlan, chunk: Int) {
    var written: Set<Place> = []
    for move in step.moves {
      guard let slot = move.slot else { continue }
      let target = Place(stage: move.stage, slot: slot)
      switch move.source {
      case .chunk(let token):
        tokens[target] = (seen + token, move.clock)
      case .slot(let stage, let slot, let clock):
        guard let source = tokens[Place(stage: stage, slot: slot)] else {
          Issue.record("a move reads an empty slot")
          return
        }
        if source.clock != clock { Issue.record("a move takes a key for another one") }
        tokens[target] = (source.token, move.clock)
        if step.movesAreIndependent { Issue.record("a move depends on a slot") }
      }
      if step.movesAreIndependent && !written.insert(target).inserted {
        Issue.record("independent moves meet in a slot")
      }
    }
    seen += chunk
  }

  /// Checks that the readings of a step show each token of the chunk exactly the tokens of the definition, once each,
  /// and at distances inside the cache.
  func audit(_ step: StepPlan, chunk: Int, attendedBy definition: (Int) -> [Int]) {
    for token in 0..<chunk {
      let attended = definition(seen + token)
      var met: [Int] = []
      var distancesAreRight = true
      for reading in step.readings {
        let clock = step.clocks[reading.clock].position(token)
        let place = step.places[reading.stage]
        for slot in reading.slots where isVisible(slot, reading, token, step) {
          guard
            let held = tokens[
              Place(stage: reading.stage, slot: place.growth.firstSlot(ofBlock: reading.block) + slot - place.offset)]
          else {
            Issue.record("a query reads an empty slot")
            return
          }
          met.append(held.token)
          distancesAreRight =
            distancesAreRight && clock - held.clock == attended.count - 1 - (attended.firstIndex(of: held.token) ?? -1)
        }
      }
      for other in step.firstVisibleChunkToken(token)...token {
        met.append(seen + other)
        let distance = step.clocks[0].position(token) - step.clocks[0].position(other)
        distancesAreRight =
          distancesAreRight && distance == attended.count - 1 - (attended.firstIndex(of: seen + other) ?? -1)
      }
      if met.sorted() != attended || !distancesAreRight {
        Issue.record("token \(seen + token) meets \(met.sorted()) instead of \(attended), or at wrong distances")
      }
    }
  }

  private func isVisible(_ slot: Int, _ reading: StepPlan.Reading, _ token: Int, _ step: StepPlan) -> Bool {
    guard let offset = reading.visible else { return true }
    return slot >= step.visibleFirst[offset + token] && slot < step.visibleLast[offset + token]
  }
}

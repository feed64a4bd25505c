/// Keeps the queries of a step's last tokens, where they vote later.
final class PromptReplay: LayerReplay {
  private var observation: ObservationWindow?

  override var roles: Roles { observation == nil ? [] : .observes }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    observation = group.state(PromptState.self)?.observation
  }

  override func observe(_ call: LayerCall, _ step: GroupReplay) {
    guard let observation else { return }
    let (shape, count) = (step.shape, step.rows.count)
    for head in 0..<shape.keyValueHeads {
      let place = step.place(layer: call.layer, head: head)
      guard place >= 0 else { continue }
      let first = head * shape.groupSize
      let ring = observation.ring(place: place, reader: step.readerNumber(layer: call.layer))
      for token in max(0, count - observation.size)..<count {
        observation.queries(ring: ring, position: step.firstPosition + Int64(token))
          .update(
            from: call.queries + step.queryOffset(token: token, head: first), count: shape.groupSize * shape.headDim)
      }
      if let logits = call.sinkLogits {
        observation.sinkLogits(ring: ring).update(from: logits + first, count: shape.groupSize)
      }
    }
  }
}

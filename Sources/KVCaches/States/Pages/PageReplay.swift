import Kernels

/// Reading only some pages of a layer (Quest, arXiv 2406.10774): bounds of their logits, then the choice, then attention to
/// what was chosen.
final class PageReplay: LayerReplay {
  private let choice = PageChoice()

  private static let ownRoles: Roles = [.before, .choosesRuns, .watchesSlots]
  override var roles: Roles { Self.ownRoles }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    guard let state = group.state(PageState.self) else { return assertionFailure("pages without a state") }
    let all = step.readings.all
    choice.prepare(state, group.slots, runs: all, tokens: step.rows.count, heads: step.shape.keyValueHeads)
    if step.positions.isLinearBias { choice.measure(runs: all.runs, distances: step.positions.distances.pointer) }
  }

  /// Fewer pages are bounded and chosen by the caller alone.
  private static let parallelBounds = 512

  override var isLarge: Bool { choice.pageCount * choice.heads >= Self.parallelBounds }

  override func units(phase: Int, layer: Int, threads: Int, _ step: GroupReplay) -> Int {
    if phase == 0 {
      choice.isSelecting =
        choice.pageCount > 0 && layer >= choice.reading.denseLayers && step.holds(layer: layer)
    }
    guard choice.isSelecting else { return 0 }
    return phase == 0 ? threads : step.shape.keyValueHeads
  }

  override func work(
    unit: Int, of units: Int, phase: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    if phase == 0 {
      bound(share: WorkShare(index: unit, count: units), call, step, scratch, kernels)
    } else if step.place(layer: call.layer, head: unit) >= 0 {
      choice.choose(head: unit, runs: step.readings.all.runs)
    }
  }

  /// Bounds a share of the pages of all KV heads, block by block.
  private func bound(
    share: WorkShare, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let (shape, blockCount) = (step.shape, choice.blockCount)
    let units = shape.keyValueHeads * blockCount
    let group = shape.groupSize
    var rotated = -1
    let bounds = { (unit: Int) -> UnsafePointer<UInt16>? in
      let place = step.place(layer: call.layer, head: unit / blockCount)
      return place < 0 ? nil : UnsafePointer(self.choice.blocks.pointer[unit % blockCount].bounds(place: place))
    }
    for unit in share.part(of: units) {
      let (head, block) = unit.quotientAndRemainder(dividingBy: blockCount)
      let count = choice.pages(ofBlock: block)
      guard count > 0, let own = bounds(unit) else { continue }
      let heads = head * group..<(head + 1) * group
      if rotated != head {
        rotated = head
        let task = AttentionTask(replay: 0, head: head, queryHeads: heads, tokens: 0..<1)
        step.rotateQueries(task, call, clock: step.readings.all.runs[choice.firstRun].clock, scratch, kernels)
      }
      let first = block * choice.reading.pagesPerBlock
      let isBiased = step.positions.isLinearBias
      kernels.boundPages(
        own, pages: count,
        queries: QueryRows(scratch.queries.pointer, stride: shape.headDim, count: group, rowsPerToken: group),
        headDim: shape.headDim,
        slopes: isBiased ? UnsafePointer(step.positions.slopes.pointer + heads.lowerBound) : nil,
        distances: isBiased ? UnsafePointer(choice.distances.pointer + first) : nil,
        next: unit + 1 < units ? bounds(unit + 1) : nil, out: choice.bounds(head: head) + first)
    }
  }

  /// Chosen runs are short: cut as finely as whole ones are, most of them would be one share, however long.
  override func runs(head: Int, _ step: GroupReplay) -> RunList {
    guard choice.isSelecting else { return step.readings.all }
    let chosen = choice.runs(head: head)
    return RunList(runs: chosen.runs, count: chosen.count, cut: 16)
  }

  /// Takes a key that was written to a slot into the bounds of its page, as it is stored.
  override func didWrite(
    _ target: SlotPlace, of slots: SlotStorage, origin: Int, layer: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ step: GroupReplay, _ kernels: InstructionSet
  ) {
    guard target.block >= choice.firstBlock, layer >= choice.reading.denseLayers else { return }
    kernels.readKey(target.slot, of: slots, to: row)
    kernels.widen(
      page: target.slot / choice.reading.page,
      of: choice.blocks.pointer[target.block - choice.firstBlock].bounds(place: place), by: row,
      headDim: slots.headDim, isFirst: target.slot % choice.reading.page == 0)
  }
}

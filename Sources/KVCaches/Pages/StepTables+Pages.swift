import Kernels

/// Reading only some pages of a layer (Quest, arXiv 2406.10774): bounds of their logits, then the choice, then attention to
/// what was chosen.
extension StepTables {
  /// Decides whether a layer reads only some pages, which `boundPages` and `choosePages` then have to choose.
  func startPages(layer: Int) -> Bool {
    guard let pages else { return false }
    pages.isSelecting = pages.pageCount > 0 && layer >= pages.reading.denseLayers
    return pages.isSelecting
  }

  /// Bounds of all KV heads; fewer are not worth a join.
  var boundCount: Int { (pages?.pageCount ?? 0) * shape.keyValueHeads }

  /// Bounds a share of the pages of all KV heads, block by block.
  func boundPages(
    share: (index: Int, count: Int), _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    guard let pages else { return }
    let units = shape.keyValueHeads * pages.blockCount
    let group = shape.groupSize
    var rotated = -1
    let bounds = { (unit: Int) in
      UnsafePointer(
        pages.blocks.pointer[unit % pages.blockCount].bounds(layer: call.layer, head: unit / pages.blockCount))
    }
    for unit in units * share.index / share.count..<units * (share.index + 1) / share.count {
      let (head, block) = unit.quotientAndRemainder(dividingBy: pages.blockCount)
      let count = pages.pages(ofBlock: block)
      guard count > 0 else { continue }
      let heads = head * group..<(head + 1) * group
      if rotated != head {
        rotated = head
        let task = LocalAttention.Task(table: 0, head: head, queryHeads: heads, tokens: 0..<1)
        rotateQueries(task, call, clock: runs.pointer[pages.firstRun].clock, scratch, kernels)
      }
      let first = block * pages.reading.pagesPerBlock
      kernels.boundPages(
        bounds(unit), pages: count,
        queries: QueryRows(scratch.queries.pointer, stride: shape.headDim, count: group, rowsPerToken: group),
        headDim: shape.headDim, slopes: isLinearBias ? UnsafePointer(slopes.pointer + heads.lowerBound) : nil,
        distances: isLinearBias ? UnsafePointer(pages.distances.pointer + first) : nil,
        next: unit + 1 < units ? bounds(unit + 1) : nil, out: pages.bounds(head: head) + first)
    }
  }

  /// Chooses the pages that one KV head reads, of which all bounds are known.
  func choosePages(head: Int) { pages?.choose(head: head, runs: runs.pointer) }

  /// The runs that a KV head reads in the layer under way, and the multiple of slots at which threads may cut them.
  ///
  /// Chosen runs are short: cut as finely as whole ones are, most of them would be one share, however long.
  @inline(__always)
  func readRuns(head: Int) -> (runs: UnsafePointer<Run>, count: Int, cut: Int) {
    guard let pages, pages.isSelecting else { return (UnsafePointer(runs.pointer), runCount, 64) }
    let chosen = pages.runs(head: head)
    return (chosen.runs, chosen.count, 16)
  }

  /// Takes a key that was written to a slot into the bounds of its page, as it is stored.
  ///
  /// - Parameter key: room for a key.
  func widenPage(
    _ target: (block: Int, slot: Int), of slots: SlotStorage, layer: Int, head: Int,
    _ key: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    guard let pages, target.block >= pages.firstBlock, layer >= pages.reading.denseLayers else { return }
    kernels.readKey(target.slot, of: slots, to: key)
    kernels.widen(
      page: target.slot / pages.reading.page,
      of: pages.blocks.pointer[target.block - pages.firstBlock].bounds(layer: layer, head: head), by: key,
      headDim: shape.headDim, isFirst: target.slot % pages.reading.page == 0)
  }
}

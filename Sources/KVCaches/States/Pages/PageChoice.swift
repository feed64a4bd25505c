/// Which pages each KV head reads in the layer under way.
///
/// The buffers grow by the blocks of the stage, so that most steps allocate nothing.
final class PageChoice {
  private(set) var reading = PageReading(budget: 0, page: 1, denseLayers: 0)
  /// Index of the stage's first block in the blocks of the step.
  private(set) var firstBlock = 0
  /// The bounds beside each block of the stage.
  private(set) var blocks = GrowingBuffer<PageState.Block>()
  private(set) var blockCount = 0
  /// The step's runs in other stages; those behind them are of the stage, one a block.
  private(set) var firstRun = 0
  /// Pages that held a token before the step; 0 where the step reads all of them.
  private(set) var pageCount = 0
  /// What no logit of a page exceeds, `[KV head, page]`.
  private(set) var bounds = GrowingBuffer<Float>()
  /// ALiBi: from the nearest key of each page to the query, `[page]`.
  private(set) var distances = GrowingBuffer<Float>()
  /// What each KV head reads in the layer, `[KV head, run]`.
  private(set) var runs = GrowingBuffer<Run>()
  /// `[KV head]`
  private(set) var runCounts = GrowingBuffer<Int>()
  /// The highest bounds so far, the lowest of them first, `[KV head, page]`.
  private var heaps = GrowingBuffer<Float>()
  /// Whether the layer under way reads only some pages.
  var isSelecting = false

  /// KV heads of a layer.
  private(set) var heads = 0

  private var pageStride: Int { blockCount * reading.pagesPerBlock }
  private var runStride: Int { firstRun + reading.pages }

  /// - Parameter all: what a step that reads everything would read.
  func prepare(_ state: PageState, _ slots: SlotStore, runs all: RunList, tokens: Int, heads: Int) {
    isSelecting = false
    self.heads = heads
    reading = state.reading
    firstBlock = slots.firstBlock(ofStage: slots.places.count - 1)
    blockCount = slots.storages[slots.storages.count - 1].blockCount
    blocks.reserve(blockCount)
    for index in 0..<blockCount { blocks.pointer[index] = state.block(index) }
    firstRun = 0
    while firstRun < all.count, all.runs[firstRun].block < firstBlock { firstRun += 1 }
    pageCount = 0
    guard tokens == 1, firstRun < all.count else { return }
    let held = (all.count - 1 - firstRun) * SlotGrowth.largestBlock + all.runs[all.count - 1].last
    guard held > reading.budget else { return }
    pageCount = (held + reading.page - 1) / reading.page
    bounds.reserve(heads * pageStride)
    heaps.reserve(heads * reading.pages)
    runs.reserve(heads * runStride)
    runCounts.reserve(heads)
  }

  /// Notes how far the nearest key of each page is from the query, `distances` being those of all keys.
  func measure(runs all: UnsafePointer<Run>, distances source: UnsafePointer<Float>) {
    distances.reserve(pageStride)
    for page in 0..<pageCount {
      let (block, slots) = slots(of: page, all)
      distances.pointer[page] = source[all[firstRun + block].distances + slots.upperBound - 1]
    }
  }

  func bounds(head: Int) -> UnsafeMutablePointer<Float> { bounds.pointer + head * pageStride }

  /// The runs that a KV head reads in the layer.
  func runs(head: Int) -> (runs: UnsafePointer<Run>, count: Int) {
    (UnsafePointer(runs.pointer + head * runStride), runCounts.pointer[head])
  }

  /// Pages of a block that hold tokens.
  func pages(ofBlock block: Int) -> Int {
    max(0, min(pageCount - block * reading.pagesPerBlock, reading.pagesPerBlock))
  }

  /// The block of a page, and its slots there.
  private func slots(of page: Int, _ all: UnsafePointer<Run>) -> (block: Int, slots: Range<Int>) {
    let (block, place) = page.quotientAndRemainder(dividingBy: reading.pagesPerBlock)
    return (block, place * reading.page..<min((place + 1) * reading.page, all[firstRun + block].last))
  }

  /// Chooses what one KV head reads: the runs of other stages, the first and the newest page, and those with the highest
  /// bounds, the older one where bounds are equal. Pages that follow each other become one run.
  func choose(head: Int, runs all: UnsafePointer<Run>) {
    let target = runs.pointer + head * runStride
    target.update(from: all, count: firstRun)
    var count = firstRun
    let bounds = bounds(head: head)
    var (threshold, ties) = threshold(head: head)
    for page in 0..<pageCount {
      if page > 0, page < pageCount - 1, !(bounds[page] > threshold) {
        guard ties > 0, bounds[page] == threshold else { continue }
        ties -= 1
      }
      let (block, slots) = slots(of: page, all)
      let whole = all[firstRun + block]
      if count > firstRun, target[count - 1].block == whole.block, target[count - 1].last == slots.lowerBound {
        target[count - 1].last = slots.upperBound
        continue
      }
      target[count] = whole
      (target[count].first, target[count].last) = (slots.lowerBound, slots.upperBound)
      if whole.distances >= 0 { target[count].distances = whole.distances + slots.lowerBound }
      count += 1
    }
    assert(count <= runStride, "more runs than pages")
    runCounts.pointer[head] = count
  }

  /// The lowest bound among the pages to choose between the first and the newest one, and how many have just that.
  private func threshold(head: Int) -> (bound: Float, ties: Int) {
    let count = reading.pages - 2
    guard count > 0 else { return (.infinity, 0) }
    let (heap, bounds) = (heaps.pointer + head * reading.pages, bounds(head: head) + 1)
    heap.update(from: bounds, count: count)
    for index in (0..<count / 2).reversed() { sink(index, heap, count) }
    for page in count..<pageCount - 2 where bounds[page] > heap[0] {
      heap[0] = bounds[page]
      sink(0, heap, count)
    }
    var ties = 0
    for index in 0..<count where heap[index] == heap[0] { ties += 1 }
    return (heap[0], ties)
  }

  private func sink(_ start: Int, _ heap: UnsafeMutablePointer<Float>, _ count: Int) {
    let value = heap[start]
    var index = start
    while 2 * index + 1 < count {
      var child = 2 * index + 1
      if child + 1 < count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < value else { break }
      heap[index] = heap[child]
      index = child
    }
    heap[index] = value
  }
}

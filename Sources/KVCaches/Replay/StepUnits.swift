/// The work of a step's layers in pieces, which threads take one after another; the same in every layer.
struct StepUnits {
  /// A growing list that keeps its memory.
  struct List<Element: BitwiseCopyable> {
    private var buffer = GrowingBuffer<Element>()
    private(set) var count = 0

    var pointer: UnsafeMutablePointer<Element> { buffer.pointer }

    mutating func append(_ element: Element) {
      buffer.reserve(count + 1, keeping: count)
      buffer.pointer[count] = element
      count += 1
    }

    mutating func removeAll() { count = 0 }
  }

  /// Some tokens of a chunk, or one unit of columns.
  struct Part {
    var replay: Int
    var first, last: Int
    var range: Range<Int> { first..<last }
  }

  /// Some of the moves of one KV head; all of them where heads decide.
  struct Placement {
    var replay: Int
    var head: Int
    var first, last: Int
    var range: Range<Int> { first..<last }
  }

  /// Tokens, or moves of a head, of one unit.
  private static let unitSize = 64

  private(set) var stores = List<Part>()
  private(set) var tasks = List<AttentionTask>()
  private(set) var columns = List<Part>()
  private(set) var placements = List<Placement>()

  mutating func removeAll() {
    stores.removeAll()
    tasks.removeAll()
    columns.removeAll()
    placements.removeAll()
  }

  mutating func add(_ replay: GroupReplay, index: Int, taskTokens: Int) {
    let (shape, count, heads) = (replay.shape, replay.rows.count, replay.headsPerTask)
    for start in stride(from: 0, to: count, by: Self.unitSize) {
      stores.append(Part(replay: index, first: start, last: min(start + Self.unitSize, count)))
    }
    for first in stride(from: 0, to: shape.queryHeads, by: heads) {
      for start in stride(from: 0, to: count, by: taskTokens) {
        tasks.append(
          AttentionTask(
            replay: index, head: first / shape.groupSize, queryHeads: first..<first + heads,
            tokens: start..<min(start + taskTokens, count)))
      }
    }
    for unit in 0..<replay.keeper.columnUnits { columns.append(Part(replay: index, first: unit, last: unit + 1)) }
    let size = replay.movesAreIndependent ? Self.unitSize : Int.max
    for head in 0..<shape.keyValueHeads {
      var start = 0
      repeat {
        let end = size < replay.moves.count - start ? start + size : replay.moves.count
        placements.append(Placement(replay: index, head: head, first: start, last: end))
        start = end
      } while start < replay.moves.count
    }
  }
}

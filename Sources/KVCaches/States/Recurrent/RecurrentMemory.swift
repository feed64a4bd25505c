import Kernels

/// The recurrent states of one sequence, all layers' in one buffer of constant size.
///
/// A state cannot be run backwards. To take tokens back, copies are kept: of the state before a step, some tokens apart.
final class RecurrentMemory {
  let layout: RecurrentLayout
  /// `[layer][state]`
  let floats: Buffer<Float>
  private var undo: Undo?

  /// Copies of the state, oldest first.
  private struct Undo {
    var depth: Int
    /// Tokens between copies, at least.
    var spacing: Int
    var copies: [(tokenCount: Int64, floats: [Float])] = []
  }

  /// Copies that are kept at most, beside one for what lies between them.
  private static let copyCount = 16

  init(_ layout: RecurrentLayout) {
    self.layout = layout
    floats = Buffer(count: layout.count)
    reset()
  }

  static let stateName = "recurrent"

  /// Of the state and of its copies.
  var bytes: Int { layout.bytes + (undo?.copies.count ?? 0) * layout.bytes }

  func reset() {
    floats.elements.update(repeating: 0)
    undo?.copies = []
  }

  /// Takes note of a step that is about to begin, after so many tokens.
  func begin(tokens: Int, after tokenCount: Int64) {
    guard var undo, layout.count > 0 else { return }
    if undo.copies.last.map({ tokenCount - $0.tokenCount >= undo.spacing }) ?? true {
      undo.copies.append((tokenCount, Array(floats.elements)))
    }
    // The oldest that any token which can still be taken back needs.
    let oldest = tokenCount + Int64(tokens) - Int64(undo.depth)
    while undo.copies.count > 1, undo.copies[1].tokenCount <= oldest { undo.copies.removeFirst() }
    self.undo = undo
  }

  /// Has copies be kept so that the newest `depth` tokens can be taken back; 0 ends it.
  func keepCopies(depth: Int) {
    undo = depth == 0 ? nil : Undo(depth: depth, spacing: Self.spacing(depth: depth))
  }

  /// Tokens that lie between two copies at most, where steps are short.
  static func spacing(depth: Int) -> Int { (depth + copyCount - 1) / copyCount }

  /// The newest copy from which the state after `tokenCount` tokens can be reached; nil where there is none.
  func copy(before tokenCount: Int64) -> Int64? {
    undo?.copies.last { $0.tokenCount <= tokenCount }?.tokenCount
  }

  /// The token count of the oldest copy made after at least so many tokens.
  func oldestCopy(from tokenCount: Int64) -> Int64? {
    undo?.copies.first { $0.tokenCount >= tokenCount }?.tokenCount
  }

  /// Takes up a copy again, which was made after exactly so many tokens.
  func takeUpCopy(of tokenCount: Int64) {
    while let copy = undo?.copies.popLast() {
      guard copy.tokenCount == tokenCount else { continue }
      copy.floats.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { floats.pointer.update(from: base, count: source.count) }
      }
      return
    }
    preconditionFailure("no copy of the state after \(tokenCount) tokens")
  }

  /// An empty memory whose tokens can be taken back as far.
  func empty() -> RecurrentMemory {
    let memory = RecurrentMemory(layout)
    memory.undo = undo.map { Undo(depth: $0.depth, spacing: $0.spacing) }
    return memory
  }

  // Snapshots.

  func write(layer: Int, to writer: inout SectionWriter) {
    writer.write(UnsafeRawBufferPointer(bytes(ofLayer: layer)))
  }

  func read(layer: Int, _ bytes: UnsafeRawBufferPointer) throws(KVCacheError) {
    let target = self.bytes(ofLayer: layer)
    guard bytes.count == target.count else {
      throw .badSnapshot("the recurrent state of layer \(layer) has \(bytes.count) bytes instead of \(target.count)")
    }
    target.copyMemory(from: bytes)
  }

  private func bytes(ofLayer layer: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(floats.elements)[bytesRange(layer)])
  }

  private func bytesRange(_ layer: Int) -> Range<Int> {
    let range = layout.range(ofLayer: layer)
    return range.lowerBound * 4..<range.upperBound * 4
  }
}

import Kernels

/// What the newest steps overwrote in a record of tokens, and what it was before changes between them.
final class TokenUndo: StateUndo {
  private struct Overwritten {
    let stage: Int
    let slot: Int
    let token: Int64
    /// The token whose coming moved the one that was written.
    let cause: Int64
  }

  /// What a head's slot held.
  private struct ChosenWrite {
    var slot: Int
    var token: Int64

    static let none = ChosenWrite(slot: -1, token: 0)
  }

  /// Something that can be taken back.
  private enum Entry {
    /// A step of so many tokens, and the first of its writes in heads that choose.
    case step(tokens: Int, firstWrite: Int)
    case change(TokenRecord.Content)

    var tokens: Int {
      if case .step(let tokens, _) = self { tokens } else { 0 }
    }
  }

  private unowned let record: TokenRecord
  private let depth: Int
  private let writesPerToken: Int
  /// Oldest first; together they have at most `depth` tokens.
  private var entries: [Entry] = []
  /// What all heads overwrote, oldest first.
  private var overwritten: [Overwritten] = []
  /// What heads that choose overwrote, `[place, write]`, a ring.
  private let chosen: Buffer<ChosenWrite>?
  private var (firstWrite, nextWrite) = (0, 0)
  private var isRecording = false

  init(_ record: TokenRecord, depth: Int, writesPerToken: Int) {
    (self.record, self.depth, self.writesPerToken) = (record, depth, writesPerToken)
    chosen = record.chosen == nil ? nil : Buffer(count: record.site.count * depth * writesPerToken)
  }

  override var bytes: Int {
    let stored = (chosen?.count ?? 0) * MemoryLayout<ChosenWrite>.stride
    return entries.reduce(stored + overwritten.count * MemoryLayout<Overwritten>.stride) { bytes, entry in
      if case .change(let content) = entry { bytes + content.bytes } else { bytes }
    }
  }

  private var ring: Int { depth * writesPerToken }

  override func begin(tokens: Int, first: Int64) {
    var left = entries.reduce(0) { $0 + $1.tokens }
    while let oldest = entries.first, left + tokens > depth || oldest.tokens == 0 {
      left -= entries.removeFirst().tokens
    }
    overwritten.removeFirst(overwritten.prefix { $0.cause < first - Int64(left) }.count)
    entries.append(.step(tokens: tokens, firstWrite: nextWrite))
    (isRecording, firstWrite) = (true, nextWrite)
    guard let chosen else { return }
    for write in 0..<tokens * writesPerToken {
      for place in 0..<record.site.count { chosen.pointer[place * ring + (nextWrite + write) % ring] = .none }
    }
    nextWrite = (nextWrite + tokens * writesPerToken) % ring
  }

  /// Notes what a slot of all heads holds before it is written.
  func note(_ token: Int64, stage: Int, slot: Int, cause: Int64) {
    guard isRecording else { return }
    overwritten.append(Overwritten(stage: stage, slot: slot, token: token, cause: cause))
  }

  /// Notes what a slot of one head holds before it is written, by the step's writes in that head.
  func note(_ token: Int64, slot: Int, write: Int, place: Int) {
    guard isRecording, let chosen else { return }
    chosen.pointer[place * ring + (firstWrite + write) % ring] = ChosenWrite(slot: slot, token: token)
  }

  /// Notes what the record is before a change between two steps.
  func noteChange() { entries.append(.change(record.content)) }

  override func splits(tokens: Int) -> Bool { true }

  override func undo(tokens: Int, first: Int64) {
    while let entry = entries.popLast() {
      switch entry {
      case .change(let content): record.content = content
      case .step(let count, let firstWrite):
        while let last = overwritten.last, last.cause >= first {
          record.put(last.token, stage: last.stage, slot: last.slot)
          overwritten.removeLast()
        }
        putBackChosen(tokens: count, from: firstWrite)
        nextWrite = firstWrite
        if count > tokens { entries.append(.step(tokens: count - tokens, firstWrite: firstWrite)) }
        return
      }
    }
  }

  /// A step on which heads decided is taken back whole.
  private func putBackChosen(tokens: Int, from first: Int) {
    guard let chosen else { return }
    for place in 0..<record.site.count {
      for write in (0..<tokens * writesPerToken).reversed() {
        let old = chosen.pointer[place * ring + (first + write) % ring]
        if old.slot >= 0 { record.put(old.token, place: place, slot: old.slot) }
      }
    }
  }

  override func clear() {
    entries.removeAll(keepingCapacity: true)
    overwritten.removeAll(keepingCapacity: true)
    isRecording = false
  }
}

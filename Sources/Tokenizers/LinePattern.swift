/// `[^\n]+|[\n]+`: runs of line breaks, and the text between them.
enum LinePattern {
  static func nextPiece(in text: ScalarText, from start: Int, to end: Int, isOpen: Bool) -> SplitPiece {
    let isBreak = text.bytes[start] == 0x0A
    var position = start + 1
    while position < end, (text.bytes[position] == 0x0A) == isBreak { position += 1 }
    if !isOpen || position < end { return .settled(end: position) }
    // How long a run of line breaks gets decides about all of it; in other text the next pass may find places to cut.
    return isBreak ? .undecided : .openGap(end: end)
  }
}

/// What the pre-tokenizers ask about a Unicode scalar, as bits.
struct ScalarClass: OptionSet, Sendable {
  let rawValue: UInt8

  static let letter = Self(rawValue: 1)
  static let number = Self(rawValue: 2)
  static let space = Self(rawValue: 4)
  static let mark = Self(rawValue: 8)
  static let punctuation = Self(rawValue: 16)
  static let symbol = Self(rawValue: 32)
  /// Letters of the categories Lu and Lt.
  static let upper = Self(rawValue: 64)
  /// Letters of the category Ll.
  static let lower = Self(rawValue: 128)
}

/// The classes of all Unicode scalars in two stages: the block of 128 that a scalar is in, then the scalar in the block.
///
/// About 50 kB, built once from `ScalarClassRuns` in less than a millisecond. Equal blocks of one class are shared.
final class ScalarClasses: Sendable {
  static let shared = ScalarClasses()

  private let blocks: [UInt16]
  private let classes: [UInt8]

  private init() {
    var flat = [UInt8](repeating: 0, count: 0x110000)
    var position = 0
    ScalarClassRuns.runs.withUTF8Buffer { runs in
      var index = 0
      while index < runs.count {
        let letter = runs[index]
        index += 1
        guard letter >= UInt8(ascii: "a") else { continue }
        var length = 0
        while index < runs.count, runs[index] < UInt8(ascii: "a") {
          if runs[index] >= UInt8(ascii: "0") { length = length * 10 + Int(runs[index] - UInt8(ascii: "0")) }
          index += 1
        }
        let end = position + max(length, 1)
        let value = ScalarClassRuns.classes[Int(letter - UInt8(ascii: "a"))]
        if value != 0 { for scalar in position..<end { flat[scalar] = value } }
        position = end
      }
    }
    assert(position == 0x110000)
    var blocks: [UInt16] = []
    var classes: [UInt8] = []
    var uniform: [UInt8: UInt16] = [:]
    blocks.reserveCapacity(0x110000 >> 7)
    for start in stride(from: 0, to: 0x110000, by: 128) {
      let block = flat[start..<start + 128]
      let isUniform = block.allSatisfy { $0 == flat[start] }
      if isUniform, let known = uniform[flat[start]] {
        blocks.append(known)
        continue
      }
      let number = UInt16(classes.count >> 7)
      if isUniform { uniform[flat[start]] = number }
      blocks.append(number)
      classes.append(contentsOf: block)
    }
    self.blocks = blocks
    self.classes = classes
  }

  /// The classes of a scalar; none where the number is beyond Unicode.
  @inline(__always)
  subscript(scalar: UInt32) -> ScalarClass {
    guard scalar < 0x110000 else { return [] }
    return ScalarClass(rawValue: classes[Int(blocks[Int(scalar >> 7)]) << 7 | Int(scalar & 127)])
  }
}

import CLibrary
import Kernels

/// Some heads of the rows of a step: how they stand among all heads in memory, and one behind the other in a frame.
struct RowHeads {
  /// Heads of a row in memory.
  let all: Int
  /// Those that stand in the frame.
  let own: Range<Int>
  let headDim: Int
  let rows: Int

  /// Numbers in a frame.
  var count: Int { rows * own.count * headDim }

  /// Whether a frame of float32 is what lies in memory.
  func isContiguous(_ format: WireFormat) -> Bool { format == .float32 && (own.count == all || rows == 1) }

  /// The same heads of so many rows.
  func with(rows: Int) -> RowHeads { RowHeads(all: all, own: own, headDim: headDim, rows: rows) }

  /// Where the numbers of the frame begin in memory, where they lie there one behind the other.
  var offset: Int { own.lowerBound * headDim }

  /// Puts the numbers of a frame to their places.
  func unpack(
    _ contents: UnsafeRawBufferPointer, _ format: WireFormat, to target: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard let base = contents.baseAddress else { return }
    assert(contents.count == count * format.size, "a frame of another step")
    let width = own.count * headDim
    for row in 0..<rows {
      let source = base + row * width * format.size
      let place = target + row * all * headDim + offset
      if format == .float32 {
        UnsafeMutableRawPointer(place).copyMemory(from: source, byteCount: width * 4)
      } else {
        let halves = Self.halves(UnsafeMutableRawPointer(mutating: source), headDim: headDim, count: own.count)
        for head in 0..<own.count { kernels.readValue(head, of: halves, to: place + head * headDim) }
      }
    }
  }

  /// Puts numbers from their places into a frame.
  func pack(
    _ source: UnsafePointer<Float>, _ format: WireFormat, to target: UnsafeMutableRawPointer, _ kernels: InstructionSet
  ) {
    let width = own.count * headDim
    for row in 0..<rows {
      let place = target + row * width * format.size
      let source = source + row * all * headDim + offset
      if format == .float32 {
        place.copyMemory(from: source, byteCount: width * 4)
      } else {
        let halves = Self.halves(place, headDim: headDim, count: own.count)
        for head in 0..<own.count { kernels.writeValue(source + head * headDim, to: head, of: halves) }
      }
    }
  }

  /// Values of slots lie as numbers in a frame do, a row a slot.
  private static func halves(_ base: UnsafeMutableRawPointer, headDim: Int, count: Int) -> SlotStorage {
    SlotStorage(type: .float16, headDim: headDim, slots: count, keys: base, values: base)
  }
}

/// The logarithm of a sum of exponentials; of nothing, minus infinity.
func logarithm(_ sum: Float) -> Float { sum > 0 ? log(sum) : -.infinity }

func exponential(_ exponent: Float) -> Float { exp(exponent) }

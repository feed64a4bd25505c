import Kernels

/// Which token each slot of one head holds while the contests of a step are decided.
///
/// Only slots that changed hands are noted, and forgotten again, so that a decode step costs nothing for the others.
final class SlotOrigins {
  /// The slot holds what it held before the step.
  static let unmoved = Int32.min

  /// The chunk's token, -2 − the slot in which the token lay before the step, or `unmoved`; `[slot]`.
  private(set) var origin: UnsafeMutablePointer<Int32>
  /// The clock to which the token's key was rotated there, `[slot]`.
  private(set) var originClock: UnsafeMutablePointer<Int64>
  /// The clock at which the slot keeps it, `[slot]`.
  private(set) var clock: UnsafeMutablePointer<Int64>
  /// The slots that changed hands, in the order in which they first did.
  private(set) var touched: UnsafeMutablePointer<Int32>
  private(set) var touchedCount = 0

  private var numbers = Buffer<Int32>(count: 0)
  private var clocks = Buffer<Int64>(count: 0)

  init() {
    (origin, touched) = (numbers.pointer, numbers.pointer)
    (originClock, clock) = (clocks.pointer, clocks.pointer)
  }

  /// Makes room for so many slots.
  func reserve(_ count: Int) {
    guard clocks.count < 2 * count else { return }
    assert(touchedCount == 0, "slots grow between steps")
    numbers = Buffer(count: 2 * count)
    clocks = Buffer(count: 2 * count)
    (origin, touched) = (numbers.pointer, numbers.pointer + count)
    (originClock, clock) = (clocks.pointer, clocks.pointer + count)
    origin.update(repeating: Self.unmoved, count: count)
  }

  func put(origin source: Int32, clock sourceClock: Int64, into slot: Int32, at target: Int64) {
    if origin[Int(slot)] == Self.unmoved {
      touched[touchedCount] = slot
      touchedCount += 1
    }
    origin[Int(slot)] = source
    originClock[Int(slot)] = sourceClock
    clock[Int(slot)] = target
  }

  func forget() {
    for index in 0..<touchedCount { origin[Int(touched[index])] = Self.unmoved }
    touchedCount = 0
  }
}

/// The angles of keys that turn, kept for as long as a step: layers and heads turn by the same few clocks.
final class TurnAngles {
  private static let places = 64
  private let turns = Buffer<Int64>(count: places)
  /// Cosines then sines, `[place, (cosine | sine), pair]`.
  private let angles: Buffer<Float>
  private let stride: Int

  init(headDim: Int) {
    stride = headDim
    angles = Buffer(count: Self.places * headDim)
  }

  /// Forgets all angles, whose frequencies may be others in the next step.
  func forget() { turns.pointer.update(repeating: 0, count: Self.places) }

  /// The cosines of a turn other than 0, followed by its sines.
  func angles(of turn: Int64, frequencies: UnsafePointer<Double>, count: Int) -> UnsafePointer<Float> {
    assert(turn != 0 && 2 * count <= stride)
    let place = Int(UInt64(bitPattern: turn) % UInt64(Self.places))
    let target = angles.pointer + place * stride
    if turns.pointer[place] != turn {
      RotaryEmbedding.angles(
        at: turn, frequencies: frequencies, count: count, cosine: target, sine: target + count)
      turns.pointer[place] = turn
    }
    return UnsafePointer(target)
  }
}

/// What one thread decides contests with.
final class SelectionScratch {
  let origins = SlotOrigins()
  let turns: TurnAngles

  init(headDim: Int) { turns = TurnAngles(headDim: headDim) }

  /// Makes room for the decisions of a step, and forgets the angles of the last one.
  func reserve(slots: Int) {
    origins.reserve(slots)
    turns.forget()
  }
}

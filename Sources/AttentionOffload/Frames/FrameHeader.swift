/// What stands in front of every frame: 32 bytes, little-endian.
///
/// | offset | bytes | field |
/// | --- | --- | --- |
/// | 0 | 4 | `SLAT` |
/// | 4 | 1 | version, 1 |
/// | 5 | 1 | kind |
/// | 6 | 1 | format of the numbers |
/// | 7 | 1 | 0 |
/// | 8 | 4 | epoch |
/// | 12 | 4 | layer |
/// | 16 | 8 | batch, or the sequence that the frame is about |
/// | 24 | 4 | bytes that follow |
/// | 28 | 4 | 0 |
package struct FrameHeader: Sendable, Hashable {
  package static let size = 32
  package static let version: UInt8 = 1
  private static let magic: UInt32 = 0x5441_4C53

  package var kind: FrameKind
  package var format: WireFormat
  package var epoch: UInt32
  package var layer: UInt32
  package var batch: UInt64
  package var length: Int

  package init(
    _ kind: FrameKind, epoch: UInt32 = 0, batch: UInt64 = 0, layer: Int = 0, format: WireFormat = .none, length: Int = 0
  ) {
    precondition(length >= 0 && length <= kind.lengthLimit, "a frame that is too long")
    self.kind = kind
    self.format = format
    self.epoch = epoch
    self.layer = UInt32(layer)
    self.batch = batch
    self.length = length
  }

  /// Reads a header.
  ///
  /// - Throws: `OffloadError.badFrame` where it is none, or its length is more than its kind of frame ever has.
  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    guard bytes.count >= Self.size else { throw .badFrame("it ends in its header") }
    func read<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type = Value.self) -> Value {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
    guard read(0, UInt32.self) == Self.magic else { throw .badFrame("this is not a frame") }
    guard read(4, UInt8.self) == Self.version else {
      throw .badFrame("version \(read(4, UInt8.self)), this program speaks \(Self.version)")
    }
    guard let kind = FrameKind(rawValue: read(5)) else { throw .badFrame("unknown kind \(read(5, UInt8.self))") }
    guard let format = WireFormat(rawValue: read(6)) else { throw .badFrame("unknown format \(read(6, UInt8.self))") }
    guard read(7, UInt8.self) == 0, read(28, UInt32.self) == 0 else { throw .badFrame("fields that must be 0") }
    let length = Int(read(24, UInt32.self))
    guard length <= kind.lengthLimit else {
      throw .badFrame("\(kind) of \(length) bytes, at most \(kind.lengthLimit)")
    }
    (self.kind, self.format, self.length) = (kind, format, length)
    (epoch, layer, batch) = (read(8), read(12), read(16))
  }

  /// Writes the header.
  package func write(to bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count >= Self.size)
    func write<Value: FixedWidthInteger>(_ value: Value, _ offset: Int) {
      bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
    }
    write(Self.magic, 0)
    write(Self.version, 4)
    write(kind.rawValue, 5)
    write(format.rawValue, 6)
    write(UInt8(0), 7)
    write(epoch, 8)
    write(layer, 12)
    write(batch, 16)
    write(UInt32(length), 24)
    write(UInt32(0), 28)
  }
}

/// How numbers stand in a frame.
package enum WireFormat: UInt8, Sendable, CaseIterable {
  case none = 0
  case float32 = 1
  case float16 = 2

  /// Bytes of a number.
  package var size: Int { self == .float32 ? 4 : self == .float16 ? 2 : 0 }
}

/// What a frame says.
package enum FrameKind: UInt8, Sendable, CaseIterable {
  // The handshake.
  case hello = 1
  case proof = 2
  case welcome = 3
  // What is the same for all sequences.
  case model = 10
  case ready = 11
  // About one sequence; each is answered by `state`.
  case open = 20
  case close = 21
  case reset = 22
  case endPrompt = 23
  case rollBack = 24
  case keepUndo = 25
  case askState = 26
  case state = 27
  // Sections of a sequence, for snapshots.
  case listSections = 50
  case sections = 51
  case readSection = 52
  case section = 53
  case restore = 54
  case writeSection = 55
  case taken = 56
  /// Answered by `state`.
  case endRestoring = 57
  // A step.
  case step = 30
  case queries = 31
  case keysAndValues = 32
  case attention = 33
  // Between steps and in them.
  case beat = 40
  case error = 41

  /// The most bytes that follow the header: what a receiver has to be able to refuse before it makes room.
  package var lengthLimit: Int {
    switch self {
    case .hello, .proof, .welcome: 64
    case .model, .sections: 16 << 20
    case .open, .state, .step, .restore: 1 << 20
    case .queries, .keysAndValues, .attention, .section, .writeSection: 1 << 28
    case .error, .readSection: 1024
    case .close, .reset, .endPrompt, .askState, .beat, .endRestoring: 0
    case .ready, .rollBack, .keepUndo: 16
    case .listSections, .taken: 8
    }
  }
}

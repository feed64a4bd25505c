import KVCaches

extension Manifest {
  /// A sealed manifest in the outline of it.
  struct Seal: Sendable, Hashable {
    let mark: SealMark
    /// Bytes that sealing adds to a page.
    let overhead: Int
    /// What was sealed: the encoded manifest.
    var box: [UInt8]

    /// 64 GiB.
    static let mostPages = 1 << 22

    var pageStride: Int { StoredSection.pageBytes + overhead }

    init(mark: SealMark, overhead: Int, box: [UInt8]) { (self.mark, self.overhead, self.box) = (mark, overhead, box) }

    init(_ reader: inout SectionReader) throws {
      mark = SealMark(bytes: Array(try reader.take(SealMark.byteCount)))
      overhead = Int(try reader.read(UInt32.self))
      guard overhead <= 1 << 10 else { throw Miss.corrupt }
      box = Array(try reader.take(Int(try reader.read(UInt32.self))))
    }

    func write(to writer: inout SectionWriter) {
      mark.bytes.withUnsafeBytes { writer.write($0) }
      writer.write(UInt32(overhead))
      writer.write(UInt32(box.count))
      box.withUnsafeBytes { writer.write($0) }
    }
  }

  /// What the first bytes of a manifest tell of how it is sealed.
  enum Start: Equatable {
    case mark(SealMark)
    case notSealed
    case unknown
  }

  /// How many of a manifest's bytes that takes.
  package static let startBytes = magic.count + 4 + SealMark.byteCount

  static func start(_ bytes: [UInt8]) -> Start {
    let head = magic.count + 4
    guard bytes.count >= startBytes, bytes.starts(with: magic) else { return .unknown }
    switch bytes[magic.count..<head].reversed().reduce(0, { $0 << 8 | Int($1) }) {
    case 1, 2: return .notSealed
    case 3: return .mark(SealMark(bytes: Array(bytes[head..<startBytes])))
    default: return .unknown
    }
  }

  /// Takes up what a tier has, sealed or not.
  package init(stored bytes: [UInt8]) throws(TierError) {
    guard let manifest = try? bytes.withUnsafeBytes({ try Manifest($0) }) else { throw .corrupt("a manifest") }
    self = manifest
  }

  /// Takes up what a tier has for whoever reads it.
  ///
  /// - Throws: `Miss`, where it is sealed too.
  init(readable bytes: [UInt8]) throws(Miss) {
    // Typed throws do not pass through `withUnsafeBytes`.
    let result: Result<Manifest, Miss> = bytes.withUnsafeBytes { bytes in
      Result { () throws(Miss) in try Manifest(bytes) }
    }
    self = try result.get()
    guard seal == nil else { throw .sealed }
  }
}

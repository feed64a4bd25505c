/// A map from the bytes of a token to its id: open addressing over bytes that live elsewhere.
///
/// Two words a place, at most half of the places taken: the upper half of the hash with id + 1, and the piece itself
/// where it is short. Most are, and are found without a look at where their bytes lie, each a miss of the cache.
struct PieceTable: Sendable {
  /// [place, 2]
  private var slots: [UInt64]
  private let mask: Int
  private var listed: [Bool]

  /// Drawn anew for each table, so that no file can be written to make its tokens collide.
  private let seed = UInt64.random(in: .min ... .max)

  /// Room for pieces with ids below `count`.
  init(capacity count: Int) {
    var places = 16
    while places < count * 2 { places *= 2 }
    slots = [UInt64](repeating: 0, count: places * 2)
    mask = places - 1
    listed = [Bool](repeating: false, count: count)
  }

  /// A hash of bytes, eight at a time by multiplication and folding.
  @inline(__always)
  private func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: bytes.count) ^ seed
    guard let base = bytes.baseAddress else { return Self.mixed(hash) }
    let raw = UnsafeRawPointer(base)
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = Self.mixed(hash ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      offset += 8
    }
    var rest: UInt64 = 0
    while offset < bytes.count {
      rest = rest << 8 | UInt64(bytes[offset])
      offset += 1
    }
    return Self.mixed(hash ^ rest)
  }

  @inline(__always)
  private static func mixed(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }

  private static let isLong = UInt64.max
  private static let batch = 256

  /// A piece of up to 7 bytes with its length; `isLong` for others, whose bytes are to be compared where they lie.
  @inline(__always)
  private static func packed(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    if bytes.count > 7 { return isLong }
    var value = UInt64(truncatingIfNeeded: bytes.count)
    for byte in bytes { value = value << 8 | UInt64(byte) }
    return value
  }

  /// The id of a piece, or nil; `pieces` gives the bytes of an id.
  @inline(__always)
  func find(_ bytes: UnsafeBufferPointer<UInt8>, in pieces: Pieces) -> Int32? {
    find(bytes, hash: hash(bytes), in: pieces)
  }

  @inline(__always)
  private func find(_ bytes: UnsafeBufferPointer<UInt8>, hash: UInt64, in pieces: Pieces) -> Int32? {
    let packed = Self.packed(bytes)
    var place = Int(truncatingIfNeeded: hash) & mask
    while true {
      let slot = slots[place * 2]
      if slot == 0 { return nil }
      if slot >> 32 == hash >> 32, slots[place * 2 + 1] == packed {
        let id = Int32(truncatingIfNeeded: (slot & 0xFFFF_FFFF) - 1)
        if packed != Self.isLong || pieces.equals(id, bytes) { return id }
      }
      place = (place + 1) & mask
    }
  }

  /// The ids of many pieces, -1 where there is none: `ids[i]` is that of `bytes[ranges[i]]`.
  ///
  /// The table of a large vocabulary lies outside of the CPU's caches. Here every first place is read before any is
  /// needed, so that the CPU waits for many of them together.
  func find(
    _ ranges: [Range<Int>], of bytes: UnsafeBufferPointer<UInt8>, in pieces: Pieces, ids: inout [Int32]
  ) {
    ids.removeAll(keepingCapacity: true)
    withFirstPlaces(ranges, of: bytes) { hashes, places in
      for (index, range) in ranges.enumerated() {
        let isFree = places[index] == 0
        let piece = UnsafeBufferPointer(rebasing: bytes[range])
        ids.append(isFree ? -1 : find(piece, hash: hashes[index], in: pieces) ?? -1)
      }
    }
  }

  /// Calls `body` with the hashes of pieces and what stands at their first places.
  private func withFirstPlaces(
    _ ranges: [Range<Int>], of bytes: UnsafeBufferPointer<UInt8>,
    _ body: (UnsafeMutableBufferPointer<UInt64>, UnsafeMutableBufferPointer<UInt64>) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: ranges.count) { hashes in
      withUnsafeTemporaryAllocation(of: UInt64.self, capacity: ranges.count) { places in
        for (index, range) in ranges.enumerated() { hashes[index] = hash(UnsafeBufferPointer(rebasing: bytes[range])) }
        slots.withUnsafeBufferPointer { slots in
          for (index, hash) in hashes.enumerated() { places[index] = slots[(Int(truncatingIfNeeded: hash) & mask) * 2] }
        }
        body(hashes, places)
      }
    }
  }

  /// Whether `find` gives this id for its own bytes.
  @inline(__always)
  func isListed(_ id: Int32) -> Bool { listed[Int(id)] }

  /// Whether `find` gives this id for these bytes, answered without a probe.
  func holds(_ id: Int32, _ bytes: UnsafeBufferPointer<UInt8>, in pieces: Pieces) -> Bool {
    isListed(id) && pieces.equals(id, bytes)
  }

  /// Adds an id under its bytes; where the bytes are there already, the id that came first stays.
  mutating func insert(_ id: Int32, in pieces: Pieces) {
    pieces.withBytes(of: id) { insert(id, $0, hash: hash($0), in: pieces) }
  }

  /// Adds ids in this order, with places looked at as `find` for many does.
  mutating func insert(_ ids: [Int32], in pieces: Pieces) {
    pieces.withAllBytes { bytes in
      for start in stride(from: 0, to: ids.count, by: Self.batch) {
        let ids = ids[start..<min(start + Self.batch, ids.count)]
        let ranges = ids.map { pieces.range(of: $0) }
        var hashes: [UInt64] = []
        withFirstPlaces(ranges, of: bytes) { found, _ in hashes = Array(found) }
        for (index, id) in ids.enumerated() {
          insert(id, UnsafeBufferPointer(rebasing: bytes[ranges[index]]), hash: hashes[index], in: pieces)
        }
      }
    }
  }

  private mutating func insert(_ id: Int32, _ bytes: UnsafeBufferPointer<UInt8>, hash: UInt64, in pieces: Pieces) {
    let packed = Self.packed(bytes)
    var place = Int(truncatingIfNeeded: hash) & mask
    while slots[place * 2] != 0 {
      if slots[place * 2] >> 32 == hash >> 32, slots[place * 2 + 1] == packed {
        let known = Int32(truncatingIfNeeded: (slots[place * 2] & 0xFFFF_FFFF) - 1)
        if packed != Self.isLong || pieces.equals(known, bytes) { return }
      }
      place = (place + 1) & mask
    }
    listed[Int(id)] = true
    slots[place * 2] = (hash >> 32) << 32 | (UInt64(id) + 1)
    slots[place * 2 + 1] = packed
  }
}

/// The bytes of all tokens end to end, with their offsets.
struct Pieces: Sendable {
  private var bytes: [UInt8] = []
  private var offsets: [UInt32] = [0]

  var count: Int { offsets.count - 1 }

  mutating func reserve(tokens: Int) {
    offsets.reserveCapacity(tokens + 1)
    bytes.reserveCapacity(tokens * 8)
  }

  @inline(__always)
  mutating func append(_ piece: some Sequence<UInt8>) {
    bytes.append(contentsOf: piece)
    offsets.append(UInt32(bytes.count))
  }

  func range(of id: Int32) -> Range<Int> { Int(offsets[Int(id)])..<Int(offsets[Int(id) + 1]) }

  subscript(id: Int32) -> ArraySlice<UInt8> { bytes[range(of: id)] }

  /// All bytes, as `range(of:)` counts them.
  func withAllBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer(body)
  }

  @inline(__always)
  func withBytes<Result>(of id: Int32, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range(of: id)])) }
  }

  @inline(__always)
  func equals(_ id: Int32, _ other: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = Int(offsets[Int(id)])
    guard Int(offsets[Int(id) + 1]) - start == other.count else { return false }
    return bytes.withUnsafeBytes { own in
      let other = UnsafeRawBufferPointer(other)
      var offset = 0
      while offset + 8 <= other.count {
        let same =
          own.loadUnaligned(fromByteOffset: start + offset, as: UInt64.self)
          == other.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if !same { return false }
        offset += 8
      }
      while offset < other.count {
        if own[start + offset] != other[offset] { return false }
        offset += 1
      }
      return true
    }
  }
}

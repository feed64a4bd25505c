import CLibrary

/// The members of a JSON object in the order of the file; a repeated key keeps its place and takes the last value.
///
/// Keys compare byte by byte, not by Unicode's canonical equivalence as Swift's strings do: a vocabulary may hold the
/// composed and the decomposed form of one character as two tokens. Look-up is a linear search up to eight members and
/// one probe of a hash table beyond; it hashes with a random seed, so a hostile file cannot make it slow.
package struct JSONObject: Sendable {
  package private(set) var keys: [String] = []
  package private(set) var values: [JSONValue] = []
  /// The first key that the text held twice; formats that forbid it ask here.
  package private(set) var repeatedKey: String?

  /// Open addressing, a power of two long and at most half full: (upper half of the hash, position + 1), 0 = free.
  private var table: [UInt64] = []
  private static let linearLimit = 8

  package init() {}

  package var count: Int { keys.count }
  package var isEmpty: Bool { keys.isEmpty }

  /// The value of a key; setting nil is a caller's bug, since members are never removed.
  package subscript(key: String) -> JSONValue? {
    get { position(of: key).map { values[$0] } }
    set {
      guard let newValue else { preconditionFailure("a member cannot be removed") }
      set(key, to: newValue)
    }
  }

  package func position(of key: String) -> Int? {
    if table.isEmpty { return keys.firstIndex { Self.sameBytes($0, key) } }
    let slot = probe(key, hash: hash(key))
    return table[slot] == 0 ? nil : Self.position(table[slot])
  }

  /// Adds the next member of a text.
  mutating func read(_ key: String, _ value: JSONValue) {
    let before = count
    set(key, to: value)
    if count == before, repeatedKey == nil { repeatedKey = key }
  }

  private mutating func set(_ key: String, to value: JSONValue) {
    if count < Self.linearLimit {
      if let position = position(of: key) { return values[position] = value }
    } else {
      if (count + 1) * 2 > table.count { rebuildTable() }
      let hash = hash(key)
      let slot = probe(key, hash: hash)
      if table[slot] != 0 { return values[Self.position(table[slot])] = value }
      table[slot] = Self.entry(hash, count)
    }
    keys.append(key)
    values.append(value)
  }

  /// Places follow from the half of the hash that entries hold, so that no key is hashed again.
  private mutating func rebuildTable() {
    let old = table
    table = [UInt64](repeating: 0, count: Swift.max(4 * Self.linearLimit, old.count * 2))
    if old.isEmpty {
      for (position, key) in keys.enumerated() { insert(Self.entry(hash(key), position)) }
    } else {
      for entry in old where entry != 0 { insert(entry) }
    }
  }

  private mutating func insert(_ entry: UInt64) {
    var slot = Int(entry >> 32) & (table.count - 1)
    while table[slot] != 0 { slot = (slot + 1) & (table.count - 1) }
    table[slot] = entry
  }

  /// The slot that holds the key, or the free one where it belongs.
  private func probe(_ key: String, hash: UInt32) -> Int {
    var slot = Int(hash) & (table.count - 1)
    while table[slot] != 0 {
      if UInt32(truncatingIfNeeded: table[slot] >> 32) == hash, Self.sameBytes(keys[Self.position(table[slot])], key) {
        break
      }
      slot = (slot + 1) & (table.count - 1)
    }
    return slot
  }

  private static func entry(_ hash: UInt32, _ position: Int) -> UInt64 { UInt64(hash) << 32 | UInt64(position + 1) }

  private static func position(_ entry: UInt64) -> Int { Int(entry & 0xffff_ffff) - 1 }

  /// A hash of the key's bytes, eight at a time by multiplication and folding.
  private func hash(_ key: String) -> UInt32 {
    Self.withBytes(key) { bytes in
      var hash = UInt64(truncatingIfNeeded: bytes.count) ^ Self.seed
      var offset = 0
      while offset + 8 <= bytes.count {
        hash = Self.mixed(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset += 8
      }
      var rest: UInt64 = 0
      for byte in bytes[offset...] { rest = rest << 8 | UInt64(byte) }
      return UInt32(truncatingIfNeeded: Self.mixed(hash ^ rest) >> 32)
    }
  }

  @inline(__always)
  private static func mixed(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }

  /// Drawn anew in each process.
  private static let seed = UInt64.random(in: .min ... .max)

  private static func sameBytes(_ a: String, _ b: String) -> Bool {
    guard a.utf8.count == b.utf8.count else { return false }
    return withBytes(a) { a in
      withBytes(b) { b in a.isEmpty || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0 }
    }
  }

  @inline(__always)
  private static func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    if let result = text.utf8.withContiguousStorageIfAvailable({ body(UnsafeRawBufferPointer($0)) }) { return result }
    return Array(text.utf8).withUnsafeBytes(body)
  }
}

extension JSONObject: RandomAccessCollection {
  package var startIndex: Int { 0 }
  package var endIndex: Int { keys.count }
  package subscript(position: Int) -> (key: String, value: JSONValue) { (keys[position], values[position]) }
}

extension JSONObject: Equatable {
  /// The same members, in any order.
  package static func == (a: JSONObject, b: JSONObject) -> Bool {
    a.count == b.count && a.allSatisfy { member in b[member.key] == member.value }
  }
}

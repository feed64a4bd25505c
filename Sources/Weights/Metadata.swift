import ModelJSON

/// A model's description: the key-values of a GGUF file or the members of a `config.json`.
///
/// Keys of a `config.json` are paths with dots (`rope_scaling.factor`); a member that is null counts as absent. Each
/// accessor comes in two forms: one throws where the key is absent, the other (`ifPresent:`) gives nil; both throw
/// where the value is of another kind. Values are decoded when they are asked for; arrays cost their length each time.
package struct Metadata: Sendable {
  enum Source: Sendable {
    case gguf(MappedFile, [String: GGUFValue])
    case json(JSONValue)
  }

  /// All keys in the order of the file; of a `config.json` the paths of all values that are neither
  /// objects nor null.
  package let keys: [String]
  let source: Source
  let path: String

  init(gguf file: MappedFile, keys: [String], values: [String: GGUFValue]) {
    self.keys = keys
    source = .gguf(file, values)
    path = file.path
  }

  init(json: JSONObject, path: String) {
    var keys: [String] = []
    func collect(_ object: JSONObject, prefix: String) {
      for (key, value) in object where !value.isNull {
        if let inner = value.object { collect(inner, prefix: prefix + key + ".") } else { keys.append(prefix + key) }
      }
    }
    collect(json, prefix: "")
    self.keys = keys
    source = .json(.object(json))
    self.path = path
  }

  package func contains(_ key: String) -> Bool { item(key) != nil }
}

extension Metadata {
  package func string(_ key: String) throws(WeightsError) -> String {
    try present(string(ifPresent: key), key)
  }

  package func string(ifPresent key: String) throws(WeightsError) -> String? {
    guard let value = try scalar(key, "a string") else { return nil }
    guard let string = value.string else { throw wrongKind(key, value.kind, "a string") }
    return string
  }

  package func integer(_ key: String) throws(WeightsError) -> Int {
    try present(integer(ifPresent: key), key)
  }

  package func integer(ifPresent key: String) throws(WeightsError) -> Int? {
    guard let value = try scalar(key, "an integer") else { return nil }
    guard let integer = value.integer else { throw wrongKind(key, value.kind, "an integer") }
    return integer
  }

  package func double(_ key: String) throws(WeightsError) -> Double {
    try present(double(ifPresent: key), key)
  }

  package func double(ifPresent key: String) throws(WeightsError) -> Double? {
    guard let value = try scalar(key, "a number") else { return nil }
    guard let double = value.double else { throw wrongKind(key, value.kind, "a number") }
    return double
  }

  package func bool(_ key: String) throws(WeightsError) -> Bool {
    try present(bool(ifPresent: key), key)
  }

  package func bool(ifPresent key: String) throws(WeightsError) -> Bool? {
    guard let value = try scalar(key, "true or false") else { return nil }
    guard let bool = value.bool else { throw wrongKind(key, value.kind, "true or false") }
    return bool
  }

  package func strings(_ key: String) throws(WeightsError) -> [String] {
    try present(strings(ifPresent: key), key)
  }

  package func strings(ifPresent key: String) throws(WeightsError) -> [String]? {
    guard case .gguf(let value, let file) = item(key), value.type == .array, value.elementType == .string else {
      return try elements(key, "an array of strings", \.string)
    }
    var reader = reader(file, at: value.offset, key)
    var strings: [String] = []
    strings.reserveCapacity(value.count)
    for _ in 0..<value.count { strings.append(try reader.string(limit: .max, "a string")) }
    return strings
  }

  package func integers(_ key: String) throws(WeightsError) -> [Int] {
    try present(integers(ifPresent: key), key)
  }

  package func integers(ifPresent key: String) throws(WeightsError) -> [Int]? {
    if let integers = packed(key, .int32, { (bits: Int32) in Int(bits) }) { return integers }
    return try elements(key, "an array of integers", \.integer)
  }

  package func doubles(_ key: String) throws(WeightsError) -> [Double] {
    try present(doubles(ifPresent: key), key)
  }

  package func doubles(ifPresent key: String) throws(WeightsError) -> [Double]? {
    try elements(key, "an array of numbers", \.double)
  }

  package func floats(_ key: String) throws(WeightsError) -> [Float] {
    try present(floats(ifPresent: key), key)
  }

  package func floats(ifPresent key: String) throws(WeightsError) -> [Float]? {
    if let floats = packed(key, .float32, { (bits: UInt32) in Float(bitPattern: bits) }) { return floats }
    return try elements(key, "an array of numbers") { $0.double.map { Float($0) } }
  }

  package func bools(ifPresent key: String) throws(WeightsError) -> [Bool]? {
    try elements(key, "an array of true and false", \.bool)
  }

  /// The members of an object whose values are all numbers, in the order of the file; only JSON has objects.
  package func namedDoubles(ifPresent key: String) throws(WeightsError) -> [(name: String, value: Double)]? {
    guard case .json(let value) = item(key) else { return nil }
    guard let object = value.object else { throw wrongKind(key, value.kind, "an object") }
    var result: [(name: String, value: Double)] = []
    for (name, member) in object {
      guard let double = member.double else {
        throw wrongKind(key, "an object with \(member.kind)", "an object of numbers")
      }
      result.append((name, double))
    }
    return result
  }

  /// The length of an array, without decoding it; nil where the key is absent or holds no array.
  package func count(ofArray key: String) -> Int? {
    switch item(key) {
    case .json(let value): value.array?.count
    case .gguf(let value, _) where value.type == .array: value.count
    default: nil
    }
  }

  /// The value for people to read, on one line: an array by its length and its first elements.
  package func summary(_ key: String, elements limit: Int = 4) throws(WeightsError) -> String {
    guard let item = item(key) else { throw WeightsError(.noSuchKey, path: path, subject: .key(key)) }
    let shown: [JSONValue]
    let count: Int
    switch item {
    case .json(let value):
      guard let array = value.array else { return value.text }
      (shown, count) = (Array(array.prefix(limit)), array.count)
    case .gguf(let value, let file):
      var reader = reader(file, at: value.offset, key)
      guard value.type == .array else { return try reader.scalar(value.type).text }
      guard value.elementType != .array else { return "[\(value.count) arrays]" }
      var first: [JSONValue] = []
      for _ in 0..<min(limit, value.count) { first.append(try reader.scalar(value.elementType)) }
      (shown, count) = (first, value.count)
    }
    let text = shown.map(\.text).joined(separator: ", ")
    return count > shown.count ? "[\(text), ... \(count) in all]" : "[\(text)]"
  }
}

extension Metadata {
  private enum Item {
    case json(JSONValue)
    case gguf(GGUFValue, MappedFile)
  }

  private func item(_ key: String) -> Item? {
    switch source {
    case .gguf(let file, let values): return values[key].map { .gguf($0, file) }
    case .json(let root):
      guard let value = root[key] ?? Self.value(root, at: key), !value.isNull else { return nil }
      return .json(value)
    }
  }

  private static func value(_ root: JSONValue, at path: String) -> JSONValue? {
    var value: JSONValue? = root
    for name in path.split(separator: ".", omittingEmptySubsequences: false) { value = value?[String(name)] }
    return value
  }

  private func scalar(_ key: String, _ wanted: String) throws(WeightsError) -> JSONValue? {
    switch item(key) {
    case nil: return nil
    case .json(let value): return value
    case .gguf(let value, let file):
      guard value.type != .array else { throw wrongKind(key, "an array", wanted) }
      var reader = reader(file, at: value.offset, key)
      return try reader.scalar(value.type)
    }
  }

  private func elements<Element>(
    _ key: String, _ wanted: String, _ convert: (JSONValue) -> Element?
  ) throws(WeightsError) -> [Element]? {
    var result: [Element] = []
    func append(_ value: JSONValue) throws(WeightsError) {
      guard let element = convert(value) else { throw wrongKind(key, "an array with \(value.kind)", wanted) }
      result.append(element)
    }
    switch item(key) {
    case nil: return nil
    case .json(let value):
      guard let array = value.array else { throw wrongKind(key, value.kind, wanted) }
      for value in array { try append(value) }
    case .gguf(let value, let file):
      guard value.type == .array else { throw wrongKind(key, "a single value", wanted) }
      guard value.elementType != .array else { throw wrongKind(key, "an array of arrays", wanted) }
      // The elements have been counted against the file when it was opened.
      result.reserveCapacity(value.count)
      var reader = reader(file, at: value.offset, key)
      for _ in 0..<value.count { try append(try reader.scalar(value.elementType)) }
    }
    return result
  }

  /// The short way for long arrays of one type, nil for any other: vocabularies have 256,000 scores and types.
  private func packed<Bits: FixedWidthInteger & BitwiseCopyable, Element>(
    _ key: String, _ type: GGUFValueType, _ convert: (Bits) -> Element
  ) -> [Element]? {
    guard case .gguf(let value, let file) = item(key), value.type == .array, value.elementType == type else {
      return nil
    }
    let width = type.minimumBytes
    return (0..<value.count).map { index in
      convert(Bits(littleEndian: file.bytes.loadUnaligned(fromByteOffset: value.offset + index * width, as: Bits.self)))
    }
  }

  private func reader(_ file: MappedFile, at offset: Int, _ key: String) -> ByteReader {
    var reader = ByteReader(file, at: offset)
    reader.subject = .key(key)
    return reader
  }

  private func present<Value>(_ value: Value?, _ key: String) throws(WeightsError) -> Value {
    guard let value else { throw WeightsError(.noSuchKey, path: path, subject: .key(key)) }
    return value
  }

  private func wrongKind(_ key: String, _ found: String, _ wanted: String) -> WeightsError {
    WeightsError(.wrongKind(found: found, wanted: wanted), path: path, subject: .key(key))
  }
}

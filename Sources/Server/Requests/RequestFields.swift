import ModelJSON

/// The members of a JSON object of a request, read by name; what nobody has read at the end is refused.
///
/// A member that is null counts as not given. Errors name the member by its place: `stream_options.include_usage`.
struct RequestFields {
  private let object: JSONObject
  private let place: String
  private var known: Set<String> = []

  /// - Throws: `RequestError` where the value is no object.
  init(_ value: JSONValue, at place: String = "") throws(RequestError) {
    guard let object = value.object else {
      throw .bad(
        place.isEmpty ? nil : place, "\(place.isEmpty ? "the body" : place) must be an object, not \(value.kind)")
    }
    (self.object, self.place) = (object, place)
  }

  func path(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

  /// The value of a member; nil where it is missing or null.
  mutating func value(_ name: String) -> JSONValue? {
    known.insert(name)
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  /// Whether there is a member that is not null.
  func has(_ name: String) -> Bool { object[name].map { !$0.isNull } ?? false }

  private mutating func value<Result>(
    _ name: String, _ expected: String, _ read: (JSONValue) -> Result?
  ) throws(RequestError) -> Result? {
    guard let value = value(name) else { return nil }
    guard let result = read(value) else {
      throw .bad(path(name), "'\(path(name))' must be \(expected), not \(value.kind)", code: "invalid_type")
    }
    return result
  }

  mutating func string(_ name: String) throws(RequestError) -> String? { try value(name, "a string", \.string) }
  mutating func bool(_ name: String) throws(RequestError) -> Bool? { try value(name, "true or false", \.bool) }
  mutating func array(_ name: String) throws(RequestError) -> [JSONValue]? { try value(name, "an array", \.array) }

  mutating func object(_ name: String) throws(RequestError) -> JSONObject? { try value(name, "an object", \.object) }

  /// An object whose members are read in turn.
  mutating func fields(_ name: String) throws(RequestError) -> RequestFields? {
    guard let object = try object(name) else { return nil }
    return try RequestFields(.object(object), at: path(name))
  }

  mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(RequestError) -> Int? {
    guard let number = try value(name, "an integer", \.integer) else { return nil }
    guard range.contains(number) else { throw outside(name, "\(range.lowerBound)", "\(range.upperBound)") }
    return number
  }

  mutating func number(_ name: String, in range: ClosedRange<Double>) throws(RequestError) -> Double? {
    guard let number = try value(name, "a number", \.double) else { return nil }
    guard range.contains(number) else { throw outside(name, "\(range.lowerBound)", "\(range.upperBound)") }
    return number
  }

  private func outside(_ name: String, _ low: String, _ high: String) -> RequestError {
    .bad(path(name), "'\(path(name))' must be from \(low) to \(high)", code: "invalid_value")
  }

  /// A string or a list of them.
  mutating func strings(_ name: String) throws(RequestError) -> [String]? {
    try value(name, "a string or an array of strings") { value in
      if let text = value.string { return [text] }
      guard let elements = value.array else { return nil }
      let texts = elements.compactMap(\.string)
      return texts.count == elements.count ? texts : nil
    }
  }

  /// Takes note of members that have no effect here and do no harm.
  mutating func ignore(_ names: [String]) { known.formUnion(names) }

  /// Refuses members, unless they say what happens without them.
  mutating func refuse(_ names: [String], unless isNeutral: (JSONValue) -> Bool = { _ in false }) throws(RequestError) {
    for name in names {
      if let value = value(name), !isNeutral(value) { throw .unsupported(path(name)) }
    }
  }

  /// - Throws: `RequestError` that names the first member that nobody has read.
  func finish() throws(RequestError) {
    for (key, value) in object where !known.contains(key) && !value.isNull {
      throw RequestError.bad(path(key), "'\(path(key))' is not known here", code: "unknown_parameter")
    }
  }
}

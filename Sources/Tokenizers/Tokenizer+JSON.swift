import ModelJSON

extension Tokenizer {
  /// Builds a tokenizer from the bytes of a Hugging Face `tokenizer.json`.
  ///
  /// `configuration` is the `tokenizer_config.json` beside it, where there is one: it names the tokens that begin and
  /// end a sequence. Throws for what is not understood rather than tokenizing in another way than the file says.
  public convenience init(
    json bytes: UnsafeRawBufferPointer, configuration: UnsafeRawBufferPointer? = nil
  ) throws(TokenizerError) {
    let file = try Self.parse(bytes, "")
    var settings: JSONValue?
    if let configuration { settings = try Self.parse(configuration, "tokenizer_config.json: ") }
    self.init(try TokenizerFile(file, configuration: settings).parts())
  }

  /// As above, for bytes that are at hand as an array.
  public convenience init(json bytes: [UInt8], configuration: [UInt8]? = nil) throws(TokenizerError) {
    try self.init(json: bytes, configuration: configuration, ends: [])
  }

  /// As above, with what else is known of the model.
  ///
  /// - Parameters:
  ///   - ends: further tokens that end an answer; one outside of the vocabulary is left out with a warning
  ///   - limit: the most tokens that the model has rows for; those beyond are left out with a warning
  package convenience init(
    json bytes: [UInt8], configuration: [UInt8]?, ends: [Int], limit: Int? = nil
  ) throws(TokenizerError) {
    let file = try Self.reading("") { () throws(JSONError) in try JSONValue(parsing: bytes) }
    var settings: JSONValue?
    if let configuration {
      settings = try Self.reading("tokenizer_config.json: ") { () throws(JSONError) in
        try JSONValue(parsing: configuration)
      }
    }
    var parts = try TokenizerFile(file, configuration: settings, limit: limit).parts()
    for id in Set(ends).sorted() {
      if (0..<parts.pieces.count).contains(id) {
        parts.endOfGeneration.insert(Int32(id))
      } else {
        parts.warnings.append(
          "an end-of-sequence token of the model's configuration is \(id), outside the tokenizer's "
            + "\(parts.pieces.count) tokens; it is left out")
      }
    }
    self.init(parts)
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer, _ prefix: String) throws(TokenizerError) -> JSONValue {
    try reading(prefix) { () throws(JSONError) in try JSONValue(parsing: bytes) }
  }

  private static func reading(
    _ prefix: String, _ parse: () throws(JSONError) -> JSONValue
  ) throws(TokenizerError) -> JSONValue {
    do {
      return try parse()
    } catch {
      throw .json(prefix + error.description)
    }
  }
}

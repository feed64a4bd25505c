extension Tokenizer {
  /// The bytes of a token, perhaps a part of a character; none for an id outside the vocabulary.
  public func piece(_ id: Int32) -> ArraySlice<UInt8> {
    kind(id) == nil ? [] : parts.pieces[id]
  }

  /// The text of ids. Broken UTF-8 becomes U+FFFD, an id outside the vocabulary becomes nothing.
  ///
  /// A tokenizer that puts a space in front of a text takes it away here.
  public func decode(_ ids: some Sequence<Int32>, skipsSpecial: Bool = true) -> String {
    var bytes: [UInt8] = []
    var isStart = parts.stripsLeadingSpace
    for id in ids { append(id, to: &bytes, skipsSpecial: skipsSpecial, isStart: &isStart) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends the bytes of one token; `isStart` tells whether a leading space is still to be taken away.
  func append(_ id: Int32, to bytes: inout [UInt8], skipsSpecial: Bool, isStart: inout Bool) {
    guard let kind = kind(id) else { return }
    if kind == .control || kind == .unknown {
      if !skipsSpecial || parts.visibleControls.contains(id) { bytes.append(contentsOf: parts.pieces[id]) }
      return
    }
    var piece = parts.pieces[id]
    if isStart && !piece.isEmpty {
      if piece.first == 0x20 { piece.removeFirst() }
      isStart = false
    }
    bytes.append(contentsOf: piece)
  }

  /// The token's own spelling: special tokens by name, bytes in the model's alphabet ("Ġthe", "▁the", "<0x0A>").
  public func token(_ id: Int32) -> String {
    guard let kind = kind(id) else { return "" }
    let piece = parts.pieces[id]
    switch (kind, parts.symbols) {
    case (.byte, _):
      let digits = Array("0123456789ABCDEF")
      return piece.map { "<0x\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])>" }.joined()
    case (.normal, .bytes) where parts.spelledInBytes(id):
      return String(String.UnicodeScalarView(piece.compactMap { Unicode.Scalar(ByteAlphabet.scalars[Int($0)]) }))
    case (.normal, .scalars), (.userDefined, .scalars):
      return String(
        String.UnicodeScalarView(
          String(decoding: piece, as: UTF8.self).unicodeScalars.map { $0 == " " ? "\u{2581}" : $0 }))
    default: return String(decoding: piece, as: UTF8.self)
    }
  }

  /// The id of a special or other added token by its spelling.
  public func id(ofSpecial spelling: String) -> Int32? {
    let bytes = Array(spelling.utf8)
    return (parts.special + parts.userDefined).first { $0.content == bytes }?.id
  }
}

extension Tokenizer.Parts {
  /// Whether text can become the token; the others have a spelling outside the byte alphabet.
  fileprivate func spelledInBytes(_ id: Int32) -> Bool {
    pieces.withBytes(of: id) { table.find($0, in: pieces) } != nil
  }
}

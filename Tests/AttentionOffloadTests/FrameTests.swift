import AttentionOffload
import KVCaches
import Kernels
import TestSupport
import Testing

struct FrameTests {
  private func bytes(_ header: FrameHeader) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: FrameHeader.size)
    bytes.withUnsafeMutableBytes { header.write(to: $0) }
    return bytes
  }

  private func read(_ bytes: [UInt8]) throws(OffloadError) -> FrameHeader {
    let result: Result<FrameHeader, OffloadError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try FrameHeader(bytes) }
    }
    return try result.get()
  }

  @Test("a header comes back as it went", arguments: FrameKind.allCases)
  func header(kind: FrameKind) throws {
    for format in WireFormat.allCases {
      let header = FrameHeader(
        kind, epoch: 7, batch: .max - 3, layer: 61, format: format, length: kind.lengthLimit)
      #expect(try read(bytes(header)) == header)
    }
  }

  @Test("a header stands in memory as the protocol says")
  func layout() {
    let header = FrameHeader(.queries, epoch: 1, batch: 2, layer: 3, format: .float16, length: 4)
    let expected: [UInt8] = [
      0x53, 0x4C, 0x41, 0x54, 1, 31, 2, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
    ]
    #expect(bytes(header) == expected)
  }

  @Test(
    "what is no header is refused",
    arguments: [
      (0, 0x54), (4, 2), (5, 0), (5, 9), (5, 255), (6, 3), (7, 1), (28, 1), (27, 0x20),
    ] as [(Int, UInt8)])
  func refused(offset: Int, value: UInt8) {
    var bytes = bytes(FrameHeader(.queries, batch: 2, length: 4))
    bytes[offset] = value
    #expect(throws: OffloadError.self) { try read(bytes) }
  }

  @Test("no kind of frame is longer than its limit", arguments: FrameKind.allCases)
  func lengths(kind: FrameKind) {
    var bytes = bytes(FrameHeader(kind))
    let length = UInt32(kind.lengthLimit + 1)
    for index in 0..<4 { bytes[24 + index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index))) }
    #expect(throws: OffloadError.self) { try read(bytes) }
  }

  @Test("sections and what is to be restored come back as they went, and no part of them is taken for all")
  func sections() throws {
    var list = SectionList()
    list.counters = [[1, 2, 3], []]
    list.entries = [
      SectionListing(
        SectionName(group: 1, layer: 61, state: "slots", block: 9), parts: [0, 1 << 20], hasChanged: true),
      SectionListing(SectionName(group: 0, layer: 0, state: "scores", block: 0), parts: nil, hasChanged: false),
      SectionListing(SectionName(group: 0, layer: 0, state: "slots", block: 0), parts: [], hasChanged: false),
    ]
    var description = RestoreDescription()
    (description.payload, description.keptTokens, description.counters) = (1 << 40, 77, [[9], [8, 7]])
    func expect<Message: Equatable>(
      _ message: Message, _ bytes: [UInt8], _ read: (UnsafeRawBufferPointer) throws -> Message
    ) throws {
      #expect(try bytes.withUnsafeBytes(read) == message)
      for count in 0..<bytes.count {
        #expect(throws: OffloadError.self) { try bytes[..<count].withUnsafeBytes(read) }
      }
      #expect(throws: OffloadError.self) { try (bytes + [0]).withUnsafeBytes(read) }
    }
    try expect(list, list.encoded()) { try SectionList($0) }
    try expect(description, description.encoded()) { try RestoreDescription($0) }
  }

  @Test("codes are those of RFC 4231")
  func authenticationCodes() {
    let hex = { (bytes: [UInt8]) in bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    let code = { (message: [UInt8], key: [UInt8]) in hex(Handshake.authenticationCode(message, key: key)) }
    #expect(
      code(Array("Hi There".utf8), [UInt8](repeating: 0x0B, count: 20))
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      code(Array("what do ya want for nothing?".utf8), Array("Jefe".utf8))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      code(
        Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8), [UInt8](repeating: 0xAA, count: 131))
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  }

  @Test("only equal codes are equal")
  func comparison() {
    let code = [UInt8](0..<32)
    #expect(Handshake.areEqual(code, code))
    for index in code.indices {
      var other = code
      other[index] ^= 0x80
      #expect(!Handshake.areEqual(code, other))
    }
    #expect(!Handshake.areEqual(code, Array(code.dropLast())))
  }

  @Test("a key has at least 16 bytes, and space around it does not count")
  func keys() throws {
    #expect(throws: OffloadError.self) { try OffloadKey(text: Array("  short key 15b\n".utf8)) }
    _ = try OffloadKey(text: Array(" 0123456789abcdef\r\n".utf8))
  }

  @Test(
    "divisions are read",
    arguments: [
      ("heads", 4, "requests:1,tokens:1,heads:4"), ("requests", 3, "requests:3,tokens:1,heads:1"),
      ("tokens:2,heads:2", 4, "requests:1,tokens:2,heads:2"), ("heads:1", 1, "requests:1,tokens:1,heads:1"),
    ])
  func divisions(text: String, workers: Int, expected: String) throws {
    #expect(try WorkDivision(text, workers: workers).description == expected)
  }

  @Test(
    "what is no division is refused",
    arguments: [
      ("", 1), ("head", 2), ("heads:2", 3), ("heads,tokens", 4), ("heads:0", 0), ("heads:2,heads:2", 4),
      ("heads:-1", 1),
      ("heads:99999999999999999999", 1),
    ])
  func badDivisions(text: String, workers: Int) {
    #expect(throws: OffloadError.self) { try WorkDivision(text, workers: workers) }
  }

  @Test("addresses are read", arguments: ["127.0.0.1:7077", "[::1]:0", "host.example:65535", "unix:/tmp/a b"])
  func addresses(text: String) throws {
    #expect(try SocketAddress(text).description == text)
  }

  @Test("what is no address is refused", arguments: ["", "host", "host:", ":1", "host:65536", "unix:", "host:1x"])
  func badAddresses(text: String) {
    #expect(throws: OffloadError.self) { try SocketAddress(text) }
  }
}

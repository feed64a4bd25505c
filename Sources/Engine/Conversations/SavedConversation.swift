import KVCaches
import Kernels
import ModelJSON

/// A conversation as a file: what was said, what of it was read, and the memory of the sequence that read it.
///
/// One line (`SLUICECHAT`, version, the length of the header, its CRC-32C), the header as JSON, then the cache's
/// snapshot, which has checksums of its own.
struct SavedConversation {
  var model: String
  var cache: String
  var session: SessionRecord
  var snapshot: [UInt8]

  private static let magic = "SLUICECHAT"
  private static let version = 1

  var bytes: [UInt8] {
    var header = JSONObject()
    header["model"] = .string(model)
    header["cache"] = .string(cache)
    session.write(to: &header)
    var text: [UInt8] = []
    JSONValue.object(header).write(to: &text)
    let checksum = text.withUnsafeBytes { Checksum.crc32c($0) }
    return Array("\(Self.magic) \(Self.version) \(text.count) \(checksum)\n".utf8) + text + snapshot
  }

  /// - Throws: `LanguageModelError` where the bytes are no such file, or a damaged one.
  init(_ bytes: [UInt8], name: String) throws(LanguageModelError) {
    let damaged = { (reason: String) in LanguageModelError.malformed(name, reason) }
    let line = bytes.prefix(80).prefix { $0 != 0x0a }
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
    guard words.first == Self.magic, words.count == 4, line.count < 80 else { throw damaged("this is no saved chat") }
    guard words[1] == String(Self.version) else {
      throw damaged("a saved chat of version \(words[1]), this program reads \(Self.version)")
    }
    let rest = bytes.dropFirst(line.count + 1)
    guard let length = Int(words[2]), length >= 0, length <= rest.count, let checksum = UInt32(words[3]),
      Array(rest.prefix(length)).withUnsafeBytes({ Checksum.crc32c($0) }) == checksum
    else { throw damaged("the saved chat is damaged") }
    let header: JSONValue
    do {
      header = try JSONValue(parsing: Array(rest.prefix(length)))
    } catch {
      throw damaged("the saved chat is damaged: \(error)")
    }
    guard let model = header["model"]?.string, let cache = header["cache"]?.string,
      let session = SessionRecord(header), session.conversation != nil
    else { throw damaged("the saved chat lacks what belongs to it") }
    (self.model, self.cache, self.session) = (model, cache, session)
    snapshot = Array(rest.dropFirst(length))
  }

  init(model: String, cache: String, session: SessionRecord, memory: KVCache) {
    (self.model, self.cache, self.session) = (model, cache, session)
    snapshot = memory.snapshot()
  }
}

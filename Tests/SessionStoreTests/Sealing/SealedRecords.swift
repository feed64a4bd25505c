import KVCaches
import Kernels
import SealingTestSupport
import Testing

@testable import SessionStore

/// Items of records in a sealed store on disk, and hands on what lies there.
struct SealedRecords {
  let folder: StoreFolder
  let store: SessionStore

  /// - Parameter seal: nil stores them readable
  init(_ folder: StoreFolder, _ seal: StoreSeal?, memory: Int = 0) throws {
    var options = SessionStore.Options()
    options.memoryBytes = memory
    self.folder = folder
    store = SessionStore(disk: try folder.disk(), options: options, seal: seal) { 1_000_000 }
  }

  static let fingerprint = Fingerprint(model: "model-digest", tokenizer: "tokenizer-digest", cache: "cache-identity")

  @discardableResult
  func save(
    _ records: [[UInt8]], _ name: String, tenant: String = "", marks: [Int64]? = nil, from previous: Manifest? = nil
  ) throws -> Manifest {
    let head = Manifest(
      fingerprint: Self.fingerprint, plan: "plan-text", slotType: "slot-text", modelName: "model-name", tokens: 3,
      created: 5, saved: 5)
    var capture = ItemCapture(
      ItemKey(tenant: tenant, name: name), head, previous: previous, hash: store.pageHash)
    for (index, record) in records.enumerated() {
      record.withUnsafeBytes { capture.write(.record("record-\(index)"), $0) }
    }
    var change = capture.change()
    change.marks = marks
    let outcome = Outcome()
    store.save(change) { outcome.set($0) }
    store.flush()
    try outcome.value?.get()
    return change.manifest
  }

  func read(_ name: String, tenant: String = "") -> Result<[[UInt8]], Miss> {
    store.find(ItemKey(tenant: tenant, name: name)).flatMap { item in
      Result { () throws(Miss) in
        var records: [[UInt8]] = []
        for section in item.manifest.sections { try item.read(section) { records.append(Array($0)) } }
        return records
      }
    }
  }

  // What somebody else does with the file.

  func run(_ statement: String, _ values: SQLiteValue...) throws {
    try SQLiteDatabase(path: folder.file).statement(statement).forEachRow(values) { _ in }
  }

  struct Page: Equatable {
    let item, place: Int64
    let content: [UInt8]
  }

  var pages: [Page] {
    get throws {
      var pages: [Page] = []
      try SQLiteDatabase(path: folder.file).statement("SELECT item, place, content FROM pages ORDER BY item, place")
        .forEachRow([]) { pages.append(Page(item: $0.integer(0), place: $0.integer(1), content: Array($0.blob(2)))) }
      return pages
    }
  }

  func put(_ content: [UInt8], in page: Page) throws {
    try content.withUnsafeBytes {
      try run(
        "UPDATE pages SET content = ?3 WHERE item = ?1 AND place = ?2", .integer(page.item), .integer(page.place),
        .blob($0))
    }
  }

  func manifest(_ name: String) throws -> [UInt8] {
    try #require(
      try SQLiteDatabase(path: folder.file).statement("SELECT manifest FROM items WHERE name = ?1")
        .first(.text(name)) { Array($0.blob(0)) })
  }

  func put(manifest: [UInt8], of name: String) throws {
    try manifest.withUnsafeBytes { try run("UPDATE items SET manifest = ?2 WHERE name = ?1", .text(name), .blob($0)) }
  }

  /// Bytes with their checksum at the end made right.
  static func checked(_ manifest: [UInt8]) -> [UInt8] {
    let content = Array(manifest.dropLast(4))
    return content + withUnsafeBytes(of: content.withUnsafeBytes { Checksum.crc32c($0) }.littleEndian) { Array($0) }
  }
}

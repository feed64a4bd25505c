import CSQLite

/// A compiled statement.
final class SQLiteStatement {
  private let pointer: OpaquePointer
  private let library: sluice_sqlite
  private unowned let database: SQLiteDatabase

  init(_ pointer: OpaquePointer, _ library: sluice_sqlite, _ database: SQLiteDatabase) {
    (self.pointer, self.library, self.database) = (pointer, library, database)
  }

  deinit { _ = library.finalize(pointer) }

  /// A row of a result, valid until the next one.
  struct Row {
    fileprivate let pointer: OpaquePointer
    fileprivate let library: sluice_sqlite

    func integer(_ column: Int32) -> Int64 { library.column_int64(pointer, column) }

    func text(_ column: Int32) -> String { library.column_text(pointer, column).map { String(cString: $0) } ?? "" }

    func blob(_ column: Int32) -> UnsafeRawBufferPointer {
      let bytes = library.column_blob(pointer, column)
      return UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(library.column_bytes(pointer, column)))
    }
  }

  /// Runs the statement with values for its places, and hands over each row of its result.
  func forEachRow(_ values: [SQLiteValue], _ body: (Row) -> Void) throws(TierError) {
    defer { _ = library.reset(pointer) }
    // Text that is bound has to stay until the end.
    var texts: [UnsafeMutablePointer<CChar>] = []
    defer { for text in texts { text.deallocate() } }
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      let code: Int32
      switch value {
      case .integer(let number): code = library.bind_int64(pointer, place, number)
      case .text(let text):
        let bytes = text.utf8CString
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (offset, byte) in bytes.enumerated() { copy[offset] = byte }
        texts.append(copy)
        code = library.bind_text(pointer, place, copy, Int32(bytes.count - 1), nil)
      case .blob(let bytes):
        code = library.bind_blob(pointer, place, bytes.baseAddress, Int32(bytes.count), nil)
      }
      guard code == Int32(SLUICE_SQLITE_OK) else { throw database.error(code) }
    }
    while true {
      switch library.step(pointer) {
      case Int32(SLUICE_SQLITE_ROW): body(Row(pointer: pointer, library: library))
      case Int32(SLUICE_SQLITE_DONE): return
      case let code: throw database.error(code)
      }
    }
  }

  /// The first row of the result, or nil.
  func first<Result>(_ values: SQLiteValue..., body: (Row) -> Result) throws(TierError) -> Result? {
    var result: Result?
    try forEachRow(values) { if result == nil { result = body($0) } }
    return result
  }
}

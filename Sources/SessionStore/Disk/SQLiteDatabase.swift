import CSQLite

/// A connection to a database file, used by one thread at a time.
///
/// Guarded by the lock of whoever owns it.
final class SQLiteDatabase: @unchecked Sendable {
  private let library: sluice_sqlite
  private let connection: OpaquePointer
  private var statements: [String: SQLiteStatement] = [:]

  /// Opens a database, which is made where it is not there.
  ///
  /// - Throws: `TierError` where this machine has no SQLite, or the file cannot be opened or is none.
  init(path: String) throws(TierError) {
    guard let library = sluice_sqlite_library()?.pointee else {
      throw .failed("sessions on disk need SQLite: install libsqlite3 (Debian: libsqlite3-0)")
    }
    var connection: OpaquePointer?
    let flags =
      SLUICE_SQLITE_OPEN_READ_WRITE | SLUICE_SQLITE_OPEN_CREATE | SLUICE_SQLITE_OPEN_FULL_MUTEX
    let code = library.open_v2(path, &connection, Int32(flags), nil)
    guard let connection else { throw .failed("\(path): there is no memory for a connection") }
    guard code == Self.ok else {
      let reason = library.errmsg(connection).map { String(cString: $0) } ?? ""
      _ = library.close_v2(connection)
      throw .failed("\(path): \(reason)")
    }
    (self.library, self.connection) = (library, connection)
    _ = library.busy_timeout(connection, 10_000)
  }

  deinit {
    statements = [:]
    _ = library.close_v2(connection)
  }

  private static let ok = Int32(SLUICE_SQLITE_OK)

  /// Runs statements that give nothing.
  func execute(_ statements: String) throws(TierError) {
    let code = library.exec(connection, statements, nil, nil, nil)
    guard code == Self.ok else { throw error(code) }
  }

  /// A statement, which is compiled once.
  func statement(_ text: String) throws(TierError) -> SQLiteStatement {
    if let known = statements[text] { return known }
    var pointer: OpaquePointer?
    let code = library.prepare_v2(connection, text, -1, &pointer, nil)
    guard code == Self.ok, let pointer else { throw error(code) }
    let statement = SQLiteStatement(pointer, library, self)
    statements[text] = statement
    return statement
  }

  /// Runs a statement with values for its places and takes no rows.
  func run(_ text: String, _ values: SQLiteValue...) throws(TierError) {
    try statement(text).forEachRow(values) { _ in }
  }

  /// Does everything or nothing.
  func transaction<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result {
    try execute("BEGIN IMMEDIATE")
    do throws(TierError) {
      let result = try body()
      try execute("COMMIT")
      return result
    } catch {
      // A full disk may have ended the transaction already.
      try? execute("ROLLBACK")
      throw error
    }
  }

  /// Reads one state of the database, whatever others write meanwhile.
  func reading<Result>(_ body: () throws(TierError) -> Result) throws(TierError) -> Result {
    try execute("BEGIN")
    defer { try? execute("COMMIT") }
    return try body()
  }

  /// Rows that the statement run last changed.
  var changes: Int { Int(library.changes(connection)) }

  /// What a code means, with the connection's words.
  func error(_ code: Int32) -> TierError {
    let reason = library.errmsg(connection).map { String(cString: $0) } ?? ""
    switch code & 0xff {
    case Int32(SLUICE_SQLITE_FULL): return .full
    case Int32(SLUICE_SQLITE_CORRUPT), Int32(SLUICE_SQLITE_NOT_A_DATABASE): return .corrupt(reason)
    default: return .failed(reason)
    }
  }
}

/// A value that is put into a place of a statement.
enum SQLiteValue {
  case integer(Int64)
  case text(String)
  /// Bytes that stay until the statement has run, at least one.
  case blob(UnsafeRawBufferPointer)
}

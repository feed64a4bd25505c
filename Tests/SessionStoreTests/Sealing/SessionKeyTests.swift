import SealingTestSupport
import Testing

@testable import SessionStore

@Suite struct SessionKeyTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  @Test func `a key is a file of 32 bytes`() throws {
    let path = folder.path + "/key"
    for count in [0, 1, 31, 33, 64, 5000] {
      try writeFile([UInt8](repeating: 3, count: count), to: path)
      let error = #expect(throws: SessionKeyError.self) { try SessionKey(contentsOf: path) }
      #expect(error?.description.contains("\(path): a session key has 32 bytes") == true, "\(count)")
      #expect(throws: SessionKeyError.wrongLength("it", count)) { try SessionKey([UInt8](repeating: 3, count: count)) }
    }
    try writeFile(Array(1...32), to: path)
    #expect(try SessionKey(contentsOf: path).bytes == Array(1...32))
    let error = #expect(throws: SessionKeyError.self) { try SessionKey(contentsOf: path + "-none") }
    #expect(error?.description.contains("cannot be read") == true)
  }

  @Test func `a key is not printed`() throws {
    let key = try SessionKey([UInt8](repeating: 171, count: 32))
    var options = SessionStore.Options()
    options.key = key
    var (text, dumped) = ("\(key) \(options)", "")
    dump(options, to: &dumped)
    text += dumped
    #expect(!text.contains("171") && text.contains("a session key"))
  }

  @Test func `a store takes a key where the program can seal, and says how it could where not`() throws {
    var options = SessionStore.Options()
    options.key = try SessionKey([UInt8](repeating: 1, count: 32))
    #if Sealing
      do {
        let store = try SessionStore(path: folder.file, options: options)
        var item = StoredCache(store)
        try item.save(SealedStoreTests.cache())
      }
      #expect(try SessionStore(path: folder.file, options: options).sessions().count == 1)
      options.key = try SessionKey([UInt8](repeating: 2, count: 32))
      #expect(throws: TierError.sealed(.otherKey)) { try SessionStore(path: folder.file, options: options) }
      options.key = nil
      #expect(throws: TierError.sealed(.noKey)) { try SessionStore(path: folder.file, options: options) }
    #else
      for path in [folder.file, nil] {
        let error = #expect(throws: SessionKeyError.notBuilt) { try SessionStore(path: path, options: options) }
        #expect(error?.description.contains("swift build --traits Sealing") == true)
      }
    #endif
  }
}

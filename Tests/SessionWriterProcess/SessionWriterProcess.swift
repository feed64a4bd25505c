import CLibrary
import Kernels
import SessionRedis
import SessionStore

/// A process that saves sessions as fast as it can until it is killed, and tells which saves were acknowledged.
///
/// STORE is a file, or `redis:PORT` for a server of this machine. `write STORE SEED` prints `NAME GENERATION` for each save that is safe; `check STORE` prints the same for each session that is
/// there, once all of it was read and is what was written.
@main
enum SessionWriterProcess {
  static func main() {
    let arguments = CommandLine.arguments
    do {
      switch (arguments.dropFirst().first, arguments.count) {
      case ("write", 4): try write(arguments[2], seed: UInt64(arguments[3]) ?? 0)
      case ("check", 3): try check(arguments[2])
      default: fail("usage: write STORE SEED | check STORE")
      }
    } catch {
      fail("\(error)")
    }
  }

  private static let names = ["a", "b", "c", "d", "e"]
  private static let fingerprint = Fingerprint(model: "m", tokenizer: "t", cache: "c")

  private static func open(_ path: String) throws -> SessionStore {
    var options = SessionStore.Options()
    options.memoryBytes = 0
    return SessionStore(disk: try tier(path), options: options) { 1_000_000 }
  }

  private static func tier(_ path: String) throws -> any StorageTier {
    if path.hasPrefix("redis:"), let port = Int(path.dropFirst("redis:".count)) {
      return RedisTier(host: "127.0.0.1", port: port, byteLimit: 1 << 28)
    }
    let disk = try DiskTier(path: path, byteLimit: 1 << 28, durability: .process)
    if let notice = disk.notice { fail(notice) }
    return disk
  }

  private static func write(_ path: String, seed: UInt64) throws {
    let store = try open(path)
    var random = SplitMix64(seed: seed)
    var stored: [String: Manifest] = [:]
    for name in names {
      if case .success(let item) = store.find(ItemKey(name: name)) { stored[name] = item.manifest }
    }
    while true {
      let name = names[Int(random.next() % UInt64(names.count))]
      let change = change(of: name, from: stored[name])
      stored[name] = change.manifest
      store.save(change) { result in
        switch result {
        case .success: say("\(name) \(change.manifest.generation)")
        case .failure(let error): fail("\(error)")
        }
      }
      // Some saves wait while others are written.
      if random.next() % 4 == 0 { store.flush() }
    }
  }

  private static func change(of name: String, from previous: Manifest?) -> ItemChange {
    let manifest = Manifest(
      fingerprint: fingerprint, plan: "full", slotType: "f16", modelName: "m", tokens: 1, created: 0, saved: 0)
    var capture = ItemCapture(ItemKey(name: name), manifest, previous: previous, first: 1)
    for (index, bytes) in content(of: name, generation: (previous?.generation ?? 0) + 1).enumerated() {
      bytes.withUnsafeBytes { capture.write(.record("r\(index)"), $0) }
    }
    return capture.change()
  }

  private static func check(_ path: String) throws {
    let store = try open(path)
    for name in names {
      switch store.find(ItemKey(name: name)) {
      case .success(let item):
        for (index, bytes) in content(of: name, generation: item.manifest.generation).enumerated() {
          guard try item.record("r\(index)") == bytes else { fail("\(name): record \(index) is torn") }
        }
        say("\(name) \(item.manifest.generation)")
      case .failure(.neverStored): break
      case .failure(let miss): fail("\(name): \(miss)")
      }
    }
  }

  /// Records whose lengths and bytes change in part from one generation to the next.
  private static func content(of name: String, generation: Int64) -> [[UInt8]] {
    let seed = UInt64(name.utf8.first ?? 0) << 32
    return (0..<3).map { index in
      var random = SplitMix64(seed: seed | UInt64(generation) << 2 | UInt64(index))
      let pages = Int(random.next() % 6)
      var bytes: [UInt8] = []
      for page in 0..<pages {
        // Half of the pages stay as they are for some generations.
        let age = page.isMultiple(of: 2) ? UInt64(generation) : UInt64(generation) / 5
        var content = SplitMix64(seed: seed ^ age << 8 ^ UInt64(page) << 4 ^ UInt64(index))
        for _ in 0..<(StoredSection.pageBytes / 8) {
          withUnsafeBytes(of: content.next().littleEndian) { bytes.append(contentsOf: $0) }
        }
      }
      bytes.append(contentsOf: Array("\(name) \(generation)".utf8))
      return bytes
    }
  }

  private static func say(_ line: String) {
    Array((line + "\n").utf8).withUnsafeBytes { bytes in
      // One call a line, so that a line is there whole or not at all.
      _ = CLibrary.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
    }
  }

  private static func fail(_ reason: String) -> Never {
    Array(("session writer: " + reason + "\n").utf8).withUnsafeBytes { bytes in
      _ = CLibrary.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
    exit(1)
  }
}

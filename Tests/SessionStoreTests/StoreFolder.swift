import Foundation
import SealingTestSupport

@testable import SessionStore

/// A folder for the stores of a test, removed with it.
final class StoreFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-store-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var file: String { path + "/sessions.sluice" }

  func disk(byteLimit: Int = 1 << 30, at path: String? = nil) throws -> DiskTier {
    try DiskTier(path: path ?? file, byteLimit: byteLimit, durability: .process)
  }
}

/// Which tiers a store of a test has.
enum Tiers: String, CaseIterable, CustomStringConvertible {
  case memory, disk, both
  /// On disk, sealed.
  case sealed

  var description: String { rawValue }

  func store(
    _ folder: StoreFolder, options: SessionStore.Options? = nil, now: @escaping @Sendable () -> Int64 = { 1_000_000 }
  ) throws -> SessionStore {
    var options = options ?? SessionStore.Options()
    if self == .disk || self == .sealed {
      options.memoryBytes = 0
    } else if options.memoryBytes == nil {
      options.memoryBytes = 1 << 30
    }
    // What is sealed has a file of its own.
    let path = self == .sealed ? folder.path + "/sealed.sluice" : folder.file
    let disk = self == .memory ? nil : try folder.disk(byteLimit: options.diskBytes, at: path)
    let seal = self == .sealed ? try TestSeal.allCases.last?.seal() : nil
    return SessionStore(disk: disk, options: options, seal: seal, now: now)
  }

  /// Bytes by which a page is longer where it is stored.
  var overhead: Int { self == .sealed ? 28 : 0 }
}

func unlinkFile(_ path: String) -> Bool { (try? FileManager.default.removeItem(atPath: path)) != nil }

func writeFile(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

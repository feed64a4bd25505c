import HubTestSupport
import Kernels
import ModelHub
import Synchronization
import TestSupport
import Testing

/// A hub, an empty folder of models, and pulls from the one into the other.
struct PullSubject {
  let hub: HubServer
  let folder: String
  let waits = Waits()
  var environment: [String: String] = [:]

  /// How long pulls would have waited between repetitions.
  final class Waits: Sendable {
    private let seconds = Mutex<[Int]>([])
    var all: [Int] { seconds.withLock { $0 } }
    func append(_ count: Int) { seconds.withLock { $0.append(count) } }
  }

  var store: ModelStore { ModelStore(directory: folder + "/models") }
  var cache: HuggingFaceCache { HuggingFaceCache(environment: ["HF_HOME": folder + "/hf"].merging(environment) { $1 }) }
  var repositoryFolder: String { folder + "/models/" + HubServer.repository }

  func pull(
    _ name: String = HubServer.repository, revision: String = "main", refresh: Bool = false, repetitions: Int = 0,
    stallSeconds: Int = 60, isInterrupted: @escaping @Sendable () -> Bool = { false },
    report: @escaping (ModelPull.Progress) -> Void = { _ in }
  ) throws -> ModelPull.Result {
    let access = try HubAccess(endpoint: hub.endpoint, environment: environment)
    let waits = waits
    let client = HubClient(
      access: access, transport: CurlTransport(stallSeconds: stallSeconds, isInterrupted: isInterrupted),
      repetitions: repetitions
    ) { seconds in waits.append(seconds) }
    return try ModelPull(store: store, cache: cache, client: client)
      .run(#require(ModelName(name)), revision: revision, refresh: refresh, report: report)
  }

  /// Runs a body with a hub of these files and a folder that goes away.
  static func with(_ files: [String: [UInt8]], _ body: (PullSubject) throws -> Void) throws {
    try withTemporaryDirectory { folder in try body(PullSubject(hub: HubServer(files), folder: folder)) }
  }

  /// Bytes that look like nothing.
  static func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }
}

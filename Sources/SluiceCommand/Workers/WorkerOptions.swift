import ArgumentParser
import AttentionOffload
import Engine
import Foundation
import KVCaches
import Kernels
import Models

/// Attention by other processes.
struct WorkerOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Attention workers that keep the cache, separated by commas: host:port or unix:/path; see 'sluice worker'.",
      valueName: "address,…"))
  var workers: String = ""
  @Option(
    name: .long,
    help: "How the cache is divided among workers: heads, requests, tokens, or a product as heads:2,tokens:2.")
  var partition = "heads"
  @Option(name: .long, help: "A file with the key that the workers know.")
  var workerKey: String?
  @Option(name: .long, help: "How numbers go to workers: f32, or f16 for half the bytes.")
  var wire = "f32"
  @Flag(name: .long, help: "Send queries, keys and values only when the result is needed.")
  var noOverlap = false

  func validate() throws {
    guard workers.isEmpty || workerKey != nil else { throw ValidationError("--workers needs --worker-key") }
    guard ["f32", "f16"].contains(wire) else { throw ValidationError("--wire must be f32 or f16, but is '\(wire)'") }
  }

  static func key(of path: String) throws -> OffloadKey {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw CommandError("the key file \(path) cannot be read")
    }
    return try OffloadKey(text: Array(data))
  }

  /// Has an engine attend by these workers; does nothing where there are none.
  func attend(_ engine: InferenceEngine) throws {
    if !workers.isEmpty { engine.attend(by: try attention(for: engine)) }
  }

  /// Connects to the workers.
  ///
  /// - Parameters:
  ///   - lanes: batches that may take turns
  ///   - network: what delays all connections; nil leaves them as they are
  func attention(
    for engine: InferenceEngine, lanes: Int = 1, over network: ShapedChannel.Network? = nil
  ) throws -> RemoteAttention {
    guard let workerKey else { throw CommandError("--workers needs --worker-key") }
    let addresses = try workers.split(separator: ",").map { try SocketAddress(String($0)) }
    var options = RemoteAttention.Options()
    options.format = wire == "f16" ? .float16 : .float32
    options.overlap = noOverlap ? .never : .wherePaid
    options.rows = engine.chunk
    options.lanes = lanes
    let connectors = addresses.map { address in
      network.map { SocketChannel.connector(to: address, patience: 5000, over: $0) }
        ?? SocketChannel.connector(to: address, patience: 5000, threads: engine.team.threads)
    }
    return try RemoteAttention(
      layers: engine.model.configuration.layers, division: WorkDivision(partition, workers: addresses.count),
      workers: connectors, key: Self.key(of: workerKey), team: engine.team, kernels: engine.kernels, options: options)
  }
}

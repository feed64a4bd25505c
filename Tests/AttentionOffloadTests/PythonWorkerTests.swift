import AttentionOffload
import Engine
import Foundation
import KVCaches
import Kernels
import Models
import TestSupport
import Testing

/// The worker that was written from docs/attention-protocol.md alone.
@Suite("The worker in Python", .enabled(if: PythonWorker.isThere, "numpy is not there: Scripts/install-clients"))
struct PythonWorkerTests {
  @Test(
    "attends as this program does",
    arguments: [
      "llama3-rope", "gemma3", "gemma4", "gpt-oss", "mpt", "falcon", "qwen35", "ministral3", "phi2",
    ])
  func families(model: String) throws {
    try withTemporaryDirectory { folder in
      let prompt = Array(try FamilyModels.tokens(model).prefix(33))
      let expected = try FamilyModels.engine(model).greedy(prompt, count: 9, plan: "full")
      let workers = [try PythonWorker(in: folder), try PythonWorker(in: folder)]
      defer { for worker in workers { worker.stop() } }
      let engine = try FamilyModels.engine(model)
      let heads = engine.model.configuration.layers.map(\.keyValueHeads).max() ?? 0
      for (division, format) in [(WorkDivision(heads: min(2, heads)), WireFormat.float32), (WorkDivision(), .float16)] {
        let connectors = workers.map { SocketChannel.connector(to: $0.address, patience: 20_000) }
        let remote = try RemoteAttention(
          layers: engine.model.configuration.layers, division: division, workers: connectors,
          key: OffloadKey(TestWorkers.key), team: engine.team, kernels: .current,
          options: .init(format: format, overlap: .always))
        engine.attend(by: remote)
        #expect(try engine.greedy(prompt, count: 9, plan: "full") == expected, "\(division) \(format)")
        #expect(throws: KVCacheError.self) { try remote.makeMemory(KVCache.Plan("window:9"), slotType: .float16) }
        // It does not know of snapshots and says so, and nothing is lost by the question.
        let memory = try remote.makeMemory(.full, slotType: .float16)
        #expect(throws: KVCacheError.self) { try memory.listing(sinceSavedAt: nil) }
        #expect(memory.failure == nil)
      }
    }
  }
}

/// A process of the worker in `Examples`.
struct PythonWorker {
  let process = Process()
  let address: SocketAddress

  static let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "../../Examples/attention-worker/worker.py"
  ).standardizedFileURL.path
  private static let packages =
    ProcessInfo.processInfo.environment["SLUICE_CLIENTS"] ?? FileManager.default.currentDirectoryPath
    + "/.build/clients"

  static let isThere: Bool = {
    guard let process = try? run(["-c", "import numpy"], output: nil) else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  private static func run(_ arguments: [String], output: Pipe?, process: Process = Process()) throws -> Process {
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    process.environment = [
      "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1",
      // Its products are small, and other tests run beside it.
      "OPENBLAS_NUM_THREADS": "1",
    ]
    process.standardOutput = output ?? FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  init(in folder: String) throws {
    let key = try TestSupport.write(TestWorkers.key, to: "\(UUID().uuidString).key", in: folder)
    let pipe = Pipe()
    _ = try Self.run([Self.script, "--listen", "127.0.0.1:0", "--key", key], output: pipe, process: process)
    let line = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
    let place = line.split(separator: "\n").first?.split(separator: " ").last ?? ""
    address = try SocketAddress(String(place))
  }

  func stop() {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }
}

import Foundation
import TestSupport

/// A process of `sluice worker` that is there for others, until it is ended by SIGKILL: nothing about signals is asked of it.
final class WorkerProcess {
  private let process = Process()
  let address: String
  let key: String

  /// Starts it; returns once it listens.
  init(in folder: String, _ name: String = "worker") throws {
    address = "unix:\(folder)/\(name)"
    key = try TestSupport.write(Array("0123456789abcdef".utf8), to: "\(name).key", in: folder)
    process.executableURL = Sluice.executable
    process.arguments = ["worker", "--listen", address, "--key", key, "-t", "1"]
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    // It says where it listens once it does.
    _ = pipe.fileHandleForReading.availableData
  }

  /// Arguments of those who use it.
  var options: [String] { ["--workers", address, "--worker-key", key] }

  func end() {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  deinit { end() }
}

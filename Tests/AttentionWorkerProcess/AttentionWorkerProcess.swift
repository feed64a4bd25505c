import AttentionOffload
import CLibrary
import Kernels

/// An attention worker with the key of the tests, until it is killed: `AttentionWorkerProcess ADDRESS`. Says where it listens.
@main
enum AttentionWorkerProcess {
  static func main() throws {
    let key = try OffloadKey(Array("the key of all tests".utf8))
    let worker = AttentionWorker(key: key, team: try WorkerTeam(threads: 1), kernels: .current)
    let server = try WorkerServer(worker, at: SocketAddress(CommandLine.arguments[1]))
    let line = Array("\(server.address)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
    // Who started it may be gone before it can be ended.
    for _ in 0..<600 where getppid() > 1 { sleep(1) }
  }
}

import ArgumentParser
import AttentionOffload
import CLibrary
import Kernels

struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Remember for model workers: keep their caches, and attend to them.",
    discussion: """
      A model worker is 'sluice run --workers HOST:PORT'. Both need the same key, a file of at least 16 bytes such as
      'openssl rand -hex 32 > worker.key' writes. What goes between them is neither encrypted nor signed: let only machines
      that you trust reach a worker.
      """)

  @Option(name: .long, help: "Where to listen: host:port, or unix:/path; port 0 takes any that is free.")
  var listen = "127.0.0.1:7077"
  @Option(name: .long, help: "A file with the key that model workers must know.")
  var key: String
  @Option(name: .long, help: "MiB of all caches together.")
  var memory = 1024
  @Option(name: [.short, .long], help: "Threads that compute; all CPUs without it.")
  var threads: Int?

  func validate() throws {
    guard (1...1 << 30).contains(memory) else { throw ValidationError("--memory must be 1 or more, but is \(memory)") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, but are \(threads)")
    }
  }

  func run() throws {
    var options = AttentionWorker.Options()
    options.memoryBytes = memory << 20
    let worker = AttentionWorker(
      key: try WorkerOptions.key(of: key), team: try WorkerTeam(threads: threads), kernels: try InstructionSet.select(),
      options: options)
    let server = try WorkerServer(worker, at: SocketAddress(listen))
    StandardError.write("sluice: listening at \(server.address)\n")
    if !server.address.isLocal {
      StandardError.warn(["what goes over this network is neither encrypted nor signed"])
    }
    while true { sleep(3600) }
  }
}

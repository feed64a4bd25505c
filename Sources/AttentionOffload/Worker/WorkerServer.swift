import CLibrary
import Synchronization

/// Serves a worker to model workers over sockets: a thread for each connection, and one that says of all that compute that they
/// are alive.
package final class WorkerServer: Sendable {
  private let worker: AttentionWorker
  private let listener: SocketListener
  private let connections = Mutex<[Connection]>([])
  private let isStopped = Atomic<Bool>(false)

  /// How long a connection may take to prove that it knows the key, in milliseconds.
  private static let handshakePatience = 5000
  private static let connectionLimit = 256
  /// The time between two beats, in microseconds.
  private static let beatTime: UInt32 = 100_000

  private final class Connection: Sendable {
    let channel: SocketChannel
    /// The epoch that beats have, and whether a frame is worked on.
    let epoch = Atomic<UInt32>(0)
    let isBusy = Atomic<Bool>(false)

    init(_ channel: SocketChannel) { self.channel = channel }
  }

  /// Where it listens, with the port that was taken.
  package var address: SocketAddress { listener.address }

  /// Starts to serve.
  ///
  /// - Throws: `OffloadError.badSetting` where the address cannot be had.
  package init(_ worker: AttentionWorker, at address: SocketAddress) throws(OffloadError) {
    // A model worker that goes away shows as an error of writing.
    signal(SIGPIPE, SIG_IGN)
    self.worker = worker
    listener = try SocketListener(address)
    let started = startThread { [self] in accept() } && startThread { [self] in beat() }
    guard started else { throw .badSetting("no thread can be started") }
  }

  /// Ends all connections and listens no more.
  package func stop() {
    isStopped.store(true, ordering: .relaxed)
    listener.close()
    for connection in connections.withLock({ $0 }) { connection.channel.close() }
  }

  private func accept() {
    let spins = SpinningWait.isAllowed(threads: worker.threads, for: listener.address)
    while let channel = listener.accept(patience: Self.handshakePatience, spins: spins) {
      let connection = Connection(channel)
      let hasRoom = connections.withLock { list in
        guard list.count < Self.connectionLimit else { return false }
        list.append(connection)
        return true
      }
      guard hasRoom, startThread({ [self] in serve(connection) }) else {
        channel.close()
        remove(connection)
        continue
      }
    }
  }

  private func remove(_ connection: Connection) { connections.withLock { $0.removeAll { $0 === connection } } }

  private func serve(_ connection: Connection) {
    let channel = connection.channel
    var desk = WorkerDesk(worker)
    let reply: WorkerDesk.Reply = { header, contents throws(OffloadError) in try channel.send(header, contents) }
    var contents: [UInt8] = []
    do throws(OffloadError) {
      try desk.greet(reply)
      while true {
        let header = try channel.receiveHeader()
        try desk.check(header)
        if contents.count < header.length { contents = [UInt8](repeating: 0, count: header.length) }
        let result: Result<Void, OffloadError> = contents.withUnsafeMutableBytes { bytes in
          Result { () throws(OffloadError) in
            let target = UnsafeMutableRawBufferPointer(rebasing: bytes[..<header.length])
            try channel.receiveContents(into: target)
            connection.isBusy.store(true, ordering: .relaxed)
            defer { connection.isBusy.store(false, ordering: .relaxed) }
            try desk.take(header, UnsafeRawBufferPointer(target), end: { channel.close() }, reply)
          }
        }
        try result.get()
        if header.kind == .model {
          channel.setPatience(0)
          connection.epoch.store(header.epoch, ordering: .relaxed)
        }
      }
    } catch {}
    desk.end()
    channel.close()
    remove(connection)
  }

  private func beat() {
    while !isStopped.load(ordering: .relaxed) {
      usleep(Self.beatTime)
      worker.sweep()
      for connection in connections.withLock({ $0 }) where connection.isBusy.load(ordering: .relaxed) {
        let epoch = connection.epoch.load(ordering: .relaxed)
        if epoch > 0 { try? connection.channel.send(FrameHeader(.beat, epoch: epoch)) }
      }
    }
  }
}

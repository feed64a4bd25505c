import CLibrary
package import Kernels
import Synchronization

/// A process that remembers: what it needs to keep parts of sequences for any number of model workers, and what it keeps.
package final class AttentionWorker: @unchecked Sendable {
  package struct Options: Sendable {
    /// The most bytes of all sequences together.
    package var memoryBytes = 1 << 30
    /// The most model workers whose sequences are kept.
    package var sessions = 64
    /// How long a lost model worker's sequences are kept for its return, in seconds.
    package var keptSeconds = 120

    package init() {}
  }

  package let options: Options
  private let team: WorkerTeam
  private let kernels: InstructionSet
  let handshake: Handshake
  private let sessions = Mutex<[UInt64: Entry]>([:])
  private let memory: WorkerMemory

  private struct Entry {
    let session: WorkerSession
    var epoch: UInt32
    /// Ends the connection that uses it; nil while none does.
    var end: (@Sendable () -> Void)?
    /// When it was used last.
    var usedAt = ContinuousClock.now
  }

  package init(key: OffloadKey, team: WorkerTeam, kernels: InstructionSet, options: Options = Options()) {
    (self.team, self.kernels, self.options) = (team, kernels, options)
    handshake = Handshake(key: key)
    memory = WorkerMemory(limit: options.memoryBytes)
  }

  /// Threads that compute.
  var threads: Int { team.threads }

  /// Bytes that all sequences take.
  package var heldBytes: Int { memory.heldBytes }
  package var freeBytes: Int { memory.freeBytes }

  private func makeSession(_ model: AttentionModel) -> WorkerSession {
    WorkerSession(model, team: team, kernels: kernels, memory: memory)
  }

  /// The sequences of a model worker, for one connection; a connection of an earlier epoch is ended.
  ///
  /// - Throws: `OffloadError.refused` where a newer one is there, or there is no room.
  func claim(
    _ model: AttentionModel, epoch: UInt32, end: @escaping @Sendable () -> Void
  ) throws(OffloadError) -> WorkerSession {
    // The thread of an earlier connection is out after the layer that it computes.
    for _ in 0..<10_000 {
      var earlier: (@Sendable () -> Void)?
      let outcome: Result<WorkerSession, OffloadError>? = sessions.withLock { sessions in
        Self.sweep(&sessions, olderThan: options.keptSeconds)
        guard let entry = sessions[model.session] else {
          guard sessions.count < options.sessions else {
            return .failure(.refused(.memory, "\(sessions.count) model workers are served already"))
          }
          let session = makeSession(model)
          sessions[model.session] = Entry(session: session, epoch: epoch, end: end)
          return .success(session)
        }
        guard epoch > entry.epoch else {
          return .failure(.refused(.request, "epoch \(epoch) is past, a connection of epoch \(entry.epoch) was there"))
        }
        if entry.end != nil {
          earlier = entry.end
          return nil
        }
        let session = entry.session.model == model ? entry.session : makeSession(model)
        sessions[model.session] = Entry(session: session, epoch: epoch, end: end)
        return .success(session)
      }
      if let outcome { return try outcome.get() }
      earlier?()
      usleep(1000)
    }
    throw .refused(.request, "an earlier connection does not end")
  }

  /// Notes that the connection of an epoch has ended.
  func release(_ session: WorkerSession, epoch: UInt32) {
    sessions.withLock { sessions in
      guard sessions[session.model.session]?.epoch == epoch else { return }
      sessions[session.model.session]?.end = nil
      sessions[session.model.session]?.usedAt = .now
    }
  }

  /// Gives up what lost model workers have left, once they were away for too long.
  func sweep() { sessions.withLock { Self.sweep(&$0, olderThan: options.keptSeconds) } }

  private static func sweep(_ sessions: inout [UInt64: Entry], olderThan seconds: Int) {
    let now = ContinuousClock.now
    sessions = sessions.filter { $0.value.end != nil || now - $0.value.usedAt < .seconds(seconds) }
  }
}

/// The bytes of all sequences of a worker, which its sessions count together.
final class WorkerMemory: Sendable {
  let limit: Int
  private let bytes = Atomic<Int>(0)

  init(limit: Int) { self.limit = limit }

  var heldBytes: Int { bytes.load(ordering: .relaxed) }
  var freeBytes: Int { max(0, limit - heldBytes) }

  func adjust(by difference: Int) { bytes.wrappingAdd(difference, ordering: .relaxed) }
}

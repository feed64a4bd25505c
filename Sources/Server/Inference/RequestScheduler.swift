import Engine
import KVCaches
import ModelJSON
import SessionStore

/// The door to the model's thread: takes requests in without waiting, and bounds how many wait.
final class RequestScheduler: Sendable {
  private let thread = InferenceThread(name: "sluice model")
  private let confined: Confined
  let status: ServerStatus
  /// The most requests that wait.
  private let queueLimit: Int
  private let archive: SessionArchive?

  /// State that only the thread touches.
  private final class Confined: @unchecked Sendable {
    let room: RequestRoom
    var isStepQueued = false

    init(_ room: RequestRoom) { self.room = room }
  }

  init(
    _ loaded: LanguageModel.Loaded, slotType: KVCache.SlotType, limits: RequestRoom.Limits, queueLimit: Int,
    archive: SessionArchive? = nil
  ) {
    status = ServerStatus()
    (self.queueLimit, self.archive) = (queueLimit, archive)
    confined = Confined(RequestRoom(loaded, slotType: slotType, limits: limits, status: status, archive: archive))
  }

  /// Puts the choices of a request into the queue.
  ///
  /// - Throws: `RequestError` with a status of 503 where the queue is full or the server is about to stop.
  func submit(_ requests: [GenerationRequest]) throws(RequestError) -> GenerationChannel {
    guard status.reserve(requests.count, limit: queueLimit) else { throw .overloaded }
    if let archive, let session = requests.first?.session { archive.store.prefetch(session) }
    let channel = GenerationChannel { [self] in wake() }
    let jobs = requests.enumerated().map { GenerationJob($1, channel: channel, choice: $0) }
    thread.enqueue { [self] in
      confined.room.take(jobs)
      status.release(jobs.count)
      queueStep()
    }
    return channel
  }

  /// Saves a session that was answered, before what is asked from now on begins.
  func save(_ session: ItemKey, messages: [JSONValue]) {
    thread.enqueue { [self] in confined.room.save(session, messages: SessionArchive.record(messages)) }
  }

  /// Has a session be stored no longer.
  func forget(_ session: ItemKey) async {
    _ = try? await thread.run { [self] in confined.room.forget(session) }
  }

  /// Waits until the thread has done what it was asked to by now.
  func settle() async { _ = try? await thread.run {} }

  /// Ends all requests with an error.
  func stop() { thread.enqueue { [self] in confined.room.failAll(.stopped) } }

  /// Has the thread look whether there is something to do.
  private func wake() { thread.enqueue { [self] in queueStep() } }

  /// One step a job, so that requests that come are taken in between.
  private func queueStep() {
    guard !confined.isStepQueued else { return }
    confined.isStepQueued = true
    thread.enqueue { [self] in
      confined.isStepQueued = false
      if confined.room.step() { queueStep() }
    }
  }
}

import Engine
import KVCaches
import ModelJSON
import SessionStore
import Synchronization

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

  /// Wakes the model's thread, once there is a scheduler that has it.
  private final class Waker: Sendable {
    private let wake = Mutex<(@Sendable () -> Void)?>(nil)
    func set(_ wake: @escaping @Sendable () -> Void) { self.wake.withLock { $0 = wake } }
    func callAsFunction() { wake.withLock { $0 }?() }
  }

  init(
    _ loaded: LanguageModel.Loaded, slotType: KVCache.SlotType, limits: RequestRoom.Limits, queueLimit: Int,
    archive: SessionArchive? = nil
  ) {
    status = ServerStatus()
    (self.queueLimit, self.archive) = (queueLimit, archive)
    let waker = Waker()
    confined = Confined(
      RequestRoom(loaded, slotType: slotType, limits: limits, status: status, archive: archive) { waker() })
    waker.set { [weak self] in self?.wake() }
  }

  /// Puts the choices of a request into the queue.
  ///
  /// - Throws: `RequestError` with a status of 503 where the queue is full or the server is about to stop.
  func submit(_ requests: [GenerationRequest]) throws(RequestError) -> GenerationChannel {
    guard status.reserve(requests.count, limit: queueLimit) else { throw .overloaded }
    let channel = GenerationChannel { [self] in wake() }
    var jobs: [GenerationJob] = []
    for (choice, request) in requests.enumerated() {
      let job = GenerationJob(request, channel: channel, choice: choice)
      job.promptReader = jobs.first { $0.promptReader == nil && $0.request.sharesPrompt(with: request) }
      jobs.append(job)
    }
    let queued = jobs
    thread.enqueue { [self] in
      confined.room.take(queued)
      status.release(queued.count)
      queueStep()
    }
    return channel
  }

  /// Looks at something between two steps of the model.
  func look<Seen: Sendable>(_ body: @escaping @Sendable (RequestRoom) -> Seen) async -> Seen {
    await withCheckedContinuation { continuation in
      thread.enqueue { [self] in continuation.resume(returning: body(confined.room)) }
    }
  }

  /// Lets go of the memories of a conversation that wait.
  func forget(_ session: String, owner: Int) async -> Bool {
    await look { $0.forget(session, owner: owner) }
  }

  /// Saves a session that was answered, before what is asked from now on begins, and gives its lease back.
  func save(_ session: ItemKey, messages: [JSONValue], _ lease: HeldLease?) {
    thread.enqueue { [self] in
      confined.room.save(session, messages: SessionArchive.record(messages), token: lease?.token)
      if let lease { archive?.end(lease) }
    }
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
      if confined.room.step() { return queueStep() }
      // A load that hangs tells nobody that its time is up.
      guard let deadline = confined.room.nextDeadline else { return }
      _ = thread.waitForJob(atMost: deadline - .now)
      queueStep()
    }
  }
}

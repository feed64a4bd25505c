import CLibrary
import Synchronization

/// The leases that a process has of the items of a store: taken, kept up while they are used, and given back.
///
/// All talk with the tier is on a thread of its own, so that no renewal waits behind pages and no caller is blocked.
package final class SessionLeases: Sendable {
  package struct Terms: Sendable {
    /// How long a lease lives that nobody renews: as long as an item waits for a process that died.
    package var lifetime = Duration.seconds(10)
    package var renewal = Duration.seconds(3)
    /// How long one waits for a lease that another has: longer than a dead one's lives.
    package var patience = Duration.seconds(12)
    /// Between two looks whether it is free.
    package var pause = Duration.milliseconds(50)

    package init() {}
  }

  private let tier: any StorageTier
  private let terms: Terms
  private let owner: String
  private let thread = StoreThread()
  /// Only the thread changes it.
  private let held = Mutex<[ItemKey: HeldLease]>([:])

  init(_ tier: any StorageTier, terms: Terms) {
    (self.tier, self.terms) = (tier, terms)
    owner = "\(Self.host)/\(getpid())/\(String(UInt32.random(in: .min ... .max), radix: 16))"
  }

  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "?" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Takes the lease of an item, for which it waits where another process has it.
  ///
  /// A store that fails gives a lease without a number, under which nothing is written that another one could have written.
  ///
  /// - Throws: `LeaseRefusal` where the other one goes on using it, and `CancellationError`.
  package func take(_ key: ItemKey) async throws -> HeldLease {
    let end = ContinuousClock.now + terms.patience
    while true {
      switch await onThread({ $0.tryToTake(key) }) {
      case .taken(let lease): return lease
      case .held(let milliseconds):
        guard .now < end else { throw LeaseRefusal(milliseconds: milliseconds) }
      }
      try await Task.sleep(for: terms.pause)
    }
  }

  /// Gives a lease back once all that was saved under it by now is written.
  package func end(_ lease: HeldLease, after store: SessionStore) {
    store.later { [self] _ in thread.enqueue { [self] in end(lease) } }
  }

  /// Waits until what was asked for by now is done.
  package func settled() async { await onThread { _ in } }

  private enum Attempt: Sendable {
    case taken(HeldLease)
    case held(milliseconds: Int64)
  }

  // On the thread.

  private func tryToTake(_ key: ItemKey) -> Attempt {
    if let lease = held.withLock({ $0[key] }), lease.use() { return .taken(lease) }
    do throws(TierError) {
      switch try tier.lease(key, to: owner, milliseconds: terms.lifetime.milliseconds) {
      case .granted(let lease):
        let lease = HeldLease(lease)
        held.withLock { $0[key] = lease }
        lease.renewal = keepUp(lease)
        return .taken(lease)
      case .held(let milliseconds): return .held(milliseconds: milliseconds)
      }
    } catch {
      return .taken(HeldLease(nil))
    }
  }

  private func keepUp(_ lease: HeldLease) -> Task<Void, any Error> {
    Task.detached { [self] in
      while !lease.isLost {
        try await Task.sleep(for: terms.renewal)
        await onThread { $0.renew(lease) }
      }
    }
  }

  private func renew(_ held: HeldLease) {
    guard let lease = held.lease, held.isUsed else { return }
    // A tier that fails may be back before it has run out.
    if (try? tier.renewLease(lease, milliseconds: terms.lifetime.milliseconds)) == false { held.noteLost() }
  }

  private func end(_ lease: HeldLease) {
    guard lease.release() else { return }
    lease.renewal?.cancel()
    if let granted = lease.lease {
      held.withLock { if $0[granted.key] === lease { $0[granted.key] = nil } }
      try? tier.endLease(granted)
    }
    lease.noteEnded()
  }

  private func onThread<Result: Sendable>(_ body: @escaping @Sendable (SessionLeases) -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      thread.enqueue { [self] in continuation.resume(returning: body(self)) }
    }
  }
}

/// Why an item may not be written now: another process uses it, and has the lease for so long if it does not renew it.
package struct LeaseRefusal: Error, Sendable, Hashable {
  package let milliseconds: Int64
}

/// A lease that this process has, shared by those who use the item one after another.
package final class HeldLease: Sendable {
  private struct State {
    var uses = 1
    var isLost = false
    var renewal: Task<Void, any Error>?
  }

  /// Nil where the store could not give one.
  package let lease: Lease?
  private let state = Mutex(State())
  private let (ends, ending) = AsyncStream.makeStream(of: Never.self)

  init(_ lease: Lease?) { self.lease = lease }

  /// The number that writes carry.
  package var token: Int64? { lease?.token }

  /// Whether another process has taken over: this one stood still for too long.
  package var isLost: Bool { state.withLock { $0.isLost } }

  /// Waits until it is given back, with all that was saved under it written, but not longer than some time.
  package func waitForEnd(atMost duration: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { [ends] in for await _ in ends {} }
      group.addTask { try? await Task.sleep(for: duration) }
      await group.next()
      group.cancelAll()
    }
  }

  fileprivate var isUsed: Bool { state.withLock { $0.uses > 0 } }

  fileprivate var renewal: Task<Void, any Error>? {
    get { state.withLock { $0.renewal } }
    set { state.withLock { $0.renewal = newValue } }
  }

  /// Takes it for one more use.
  ///
  /// - Returns: whether it is there to be used.
  fileprivate func use() -> Bool {
    state.withLock { state in
      guard state.uses > 0, !state.isLost else { return false }
      state.uses += 1
      return true
    }
  }

  /// - Returns: whether nobody uses it any more.
  fileprivate func release() -> Bool {
    state.withLock { state in
      state.uses -= 1
      return state.uses == 0
    }
  }

  fileprivate func noteLost() { state.withLock { $0.isLost = true } }
  fileprivate func noteEnded() { ending.finish() }
}

extension Duration {
  fileprivate var milliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}

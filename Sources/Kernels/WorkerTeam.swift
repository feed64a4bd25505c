import CKernels

/// A persistent team of threads for fork-join work of microseconds to milliseconds; the caller is one of them.
///
/// A join costs well under a microsecond while the team is warm. Threads spin for 100 us after a join and then sleep, and
/// never spin when they outnumber the CPUs. Running inside a body of the same team does the whole work on the calling
/// thread; callers on different threads take turns. Bodies must not block.
package final class WorkerTeam: @unchecked Sendable {
  package let threads: Int
  package let handle: OpaquePointer

  /// - Parameter threads: threads including the caller; nil takes every CPU that the process may use.
  package init(threads: Int? = nil) throws(KernelError) {
    let wanted = threads ?? WorkerTeam.availableCPUs
    precondition(wanted > 0 && wanted <= 1024, "a team has 1 to 1024 threads")
    guard let handle = sluice_team_create(Int32(wanted)) else { throw .teamNotStarted(threads: wanted) }
    self.handle = handle
    self.threads = wanted
  }

  deinit { sluice_team_destroy(handle) }

  /// CPUs in this process's affinity mask, limited by its cgroup's quota.
  package static var availableCPUs: Int { Int(sluice_available_cpus()) }

  /// Runs `body` once for each thread index and returns when all are done.
  package func run(
    _ context: UnsafeMutableRawPointer?,
    _ body: @convention(c) (_ context: UnsafeMutableRawPointer?, _ thread: Int32, _ threads: Int32) -> Void
  ) {
    sluice_team_run(handle, body, context)
  }

  /// Splits `0..<count` into one contiguous range a thread, in order; an empty range is not run.
  ///
  /// Allocates nothing: the closure lives on the caller's stack.
  package func parallelFor(_ count: Int, _ body: (Range<Int>) -> Void) {
    guard count > 0 else { return }
    if threads == 1 || count == 1 { return body(0..<count) }
    parallelForOverTeam(handle, count, body)
  }
}

/// `sluice_team_parallel_for` of CKernels, which speaks Swift's calling convention: a non-escaping closure reaches it as
/// function and context. An escaping copy in a C context would cost an allocation in each of a token's many joins.
@_silgen_name("sluice_team_parallel_for")
private func parallelForOverTeam(_ team: OpaquePointer, _ count: Int, _ body: (Range<Int>) -> Void)

/// Memory that this process holds in RAM now, in bytes; 0 where the system does not say.
package func residentBytes() -> Int { Int(sluice_resident_bytes()) }

/// Has the CPU do nothing for about a microsecond, between two looks at what another thread or process will change.
package func pauseBetweenLooks() { sluice_pause(32) }

extension WorkerTeam {
  /// Runs `body` once on each thread of the team, with the thread's index.
  package func forEachThread(_ body: (Int) -> Void) {
    parallelFor(threads) { range in
      for thread in range { body(thread) }
    }
  }
}

import CKernels

/// What this machine can read and multiply with a team of threads: the limits that measured speeds stand beside.
package struct MachineLimits: Sendable, Hashable {
  package let threads: Int
  package let instructionSet: String
  /// Bytes a second that all threads together read from memory.
  package let readBandwidth: Double
  /// Operations a second in registers, two for a multiplication with its addition, all threads together.
  package let float32: Double
  /// The same for products of bfloat16 pairs; nil where the instruction set has none.
  package let bfloat16: Double?
  /// The same for products of bytes.
  package let int8: Double?

  /// Measures in about a second; on a busy machine every limit comes out too low.
  ///
  /// - Parameter bytes: how much memory the bandwidth is measured on, several times what the caches of the CPU hold.
  package static func measure(
    _ team: WorkerTeam, kernels: InstructionSet, bytes: Int = 512 << 20
  ) -> MachineLimits {
    let table = kernels.kernels.pointee
    return MachineLimits(
      threads: team.threads, instructionSet: kernels.name, readBandwidth: readBandwidth(team, bytes: bytes),
      float32: peak(table.peak_float32, team) ?? 0, bfloat16: peak(table.peak_bfloat16, team),
      int8: peak(table.peak_int8, team))
  }

  /// The most operations a second for weights of a type, with the arithmetic that the linear kernels use for it.
  package func operations(for type: ElementType, arithmetic: Arithmetic) -> Double {
    switch (arithmetic, type) {
    case (.int8, .bfloat16): bfloat16 ?? float32
    case (.int8, _) where type.isQuantized: int8 ?? float32
    default: float32
    }
  }

  /// The best of five sums over `bytes` of memory, in bytes a second.
  package static func readBandwidth(_ team: WorkerTeam, bytes: Int = 512 << 20) -> Double {
    let buffer = Buffer<UInt64>(count: bytes / 8)
    let sums = Buffer<UInt64>(count: team.threads * 8)
    let share = buffer.count / team.threads
    // Each thread touches its own share first, so that the memory is near it.
    team.forEachThread { thread in
      (buffer.pointer + thread * share).update(repeating: UInt64(thread), count: share)
    }
    let best = fastest(of: 5) {
      team.forEachThread { thread in
        sums.pointer[thread * 8] = sum(buffer.pointer + thread * share, count: share & ~31)
      }
    }
    return Double((share & ~31) * 8 * team.threads) / best
  }

  /// The sum of a multiple of 32 words, in four chains.
  private static func sum(_ words: UnsafePointer<UInt64>, count: Int) -> UInt64 {
    var (a, b, c, d): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    for index in stride(from: 0, to: count, by: 32) {
      for lane in 0..<8 {
        a &+= words[index + lane]
        b &+= words[index + 8 + lane]
        c &+= words[index + 16 + lane]
        d &+= words[index + 24 + lane]
      }
    }
    return a &+ b &+ c &+ d
  }

  /// Operations a second of one peak loop on all threads; nil where there is no such loop.
  private static func peak(_ loop: (@convention(c) (UInt64) -> UInt64)?, _ team: WorkerTeam) -> Double? {
    guard let loop else { return nil }
    // Long enough to wake the CPU up and for the clock to be exact: 10 ms.
    var iterations: UInt64 = 1 << 10
    while fastest(of: 1, { _ = loop(iterations) }) < 0.01 { iterations *= 2 }
    let best = fastest(of: 5) { team.forEachThread { _ in _ = loop(iterations) } }
    return Double(loop(1)) * Double(iterations) * Double(team.threads) / best
  }

  /// The shortest time of several runs, in seconds, above 0.
  package static func fastest(of runs: Int, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    var best = Double.infinity
    for _ in 0..<runs { best = min(best, clock.measure(body) / .seconds(1)) }
    return max(best, 1e-9)
  }
}

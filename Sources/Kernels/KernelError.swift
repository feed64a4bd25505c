/// What can go wrong before any kernel runs: an instruction set that is not there, threads that cannot start.
public struct KernelError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case unavailableInstructionSet(requested: String, available: [String])
    case teamNotStarted(threads: Int)
  }

  private let code: Code

  package static func unavailableInstructionSet(_ requested: String, available: [String]) -> KernelError {
    KernelError(code: .unavailableInstructionSet(requested: requested, available: available))
  }

  package static func teamNotStarted(threads: Int) -> KernelError {
    KernelError(code: .teamNotStarted(threads: threads))
  }

  public var description: String {
    switch code {
    case .unavailableInstructionSet(let requested, let available):
      "SLUICE_ISA=\(requested) is not available here; this machine has \(available.joined(separator: ", "))"
    case .teamNotStarted(let threads):
      "could not start a team of \(threads) threads"
    }
  }
}

package import CKernels
import CLibrary

/// The kernels of one instruction set, chosen once for the process or, in tests, one by one.
///
/// A value is a pointer to a constant table: passing it around retains nothing.
package struct InstructionSet: @unchecked Sendable, CustomStringConvertible {
  package let kernels: UnsafePointer<sluice_kernels>

  package var name: String { String(cString: kernels.pointee.name) }
  package var description: String { name }

  /// What this machine can run, best first; the portable one is always last.
  package static let available: [InstructionSet] = {
    var sets: [InstructionSet] = []
    while let kernels = sluice_kernels_available(Int32(sets.count)) { sets.append(InstructionSet(kernels: kernels)) }
    return sets
  }()

  /// What `SLUICE_ISA` names, else the best. A command calls `select()` first, which refuses a name that is not there.
  package static let current = InstructionSet(kernels: sluice_kernels_selected() ?? available[0].kernels)

  /// The instruction set to use; throws when `SLUICE_ISA` names one that this machine or build lacks.
  package static func select() throws(KernelError) -> InstructionSet {
    guard sluice_kernels_selected() != nil else {
      let requested = getenv("SLUICE_ISA").map { String(cString: $0) } ?? ""
      throw .unavailableInstructionSet(requested, available: available.map(\.name))
    }
    return current
  }
}

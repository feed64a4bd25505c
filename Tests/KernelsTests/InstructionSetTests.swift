import Foundation
import Kernels
import Testing

@Suite struct InstructionSetTests {
  @Test func thePortableSetIsAlwaysThereAndLast() {
    let names = InstructionSet.available.map(\.name)
    #expect(names.last == "scalar")
    #expect(Set(names).count == names.count)
  }

  @Test func theEnvironmentChoosesTheSet() async {
    await #expect(processExitsWith: .success) {
      setenv("SLUICE_ISA", "scalar", 1)
      let selected = try InstructionSet.select()
      precondition(selected.name == "scalar" && InstructionSet.current.name == "scalar")
    }
  }

  @Test func anUnknownSetIsOneLineOfError() async {
    await #expect(processExitsWith: .success) {
      setenv("SLUICE_ISA", "mmx", 1)
      do {
        _ = try InstructionSet.select()
        exit(1)
      } catch {
        let text = "\(error)"
        precondition(text.hasPrefix("SLUICE_ISA=mmx is not available here") && text.contains("scalar"))
        precondition(!text.contains("\n"))
      }
    }
  }
}

import CKernels
import Testing

@testable import Kernels

@Suite struct MachineLimitsTests {
  @Test(arguments: InstructionSet.available.map(\.name))
  func `limits are positive numbers, and missing where there is no instruction`(name: String) throws {
    let kernels = try #require(InstructionSet.available.first { $0.name == name })
    let limits = MachineLimits.measure(try WorkerTeam(threads: 2), kernels: kernels, bytes: 8 << 20)
    #expect(limits.threads == 2 && limits.instructionSet == name)
    #expect((limits.int8 == nil) == (name == "scalar"))
    #expect((limits.bfloat16 != nil) == ["avx512bf16", "neon-bf16"].contains(name))
    for limit in [limits.readBandwidth, limits.float32, limits.bfloat16 ?? 1, limits.int8 ?? 1] {
      #expect(limit > 0 && limit.isFinite)
    }
  }

  @Test func `a peak loop counts the operations it does`() {
    for kernels in InstructionSet.available {
      let table = kernels.kernels.pointee
      for loop in [table.peak_float32, table.peak_bfloat16, table.peak_int8].compactMap({ $0 }) {
        let one = loop(1)
        #expect(one > 0 && one % 32 == 0 && loop(0) == 0 && loop(1000) == 1000 * one, "\(kernels)")
      }
    }
  }

  @Test func `a type's limit is that of the arithmetic its products use`() {
    let limits = { (bfloat16: Double?, int8: Double?) -> MachineLimits in
      MachineLimits(
        threads: 1, instructionSet: "", readBandwidth: 1, float32: 2, bfloat16: bfloat16, int8: int8)
    }
    for type in ElementType.allCases {
      #expect(limits(3, 4).operations(for: type, arithmetic: .float32) == 2)
      #expect(limits(nil, nil).operations(for: type, arithmetic: .int8) == 2)
      let expected = type.isQuantized ? 4.0 : type == .bfloat16 ? 3 : 2
      #expect(limits(3, 4).operations(for: type, arithmetic: .int8) == expected)
    }
  }
}

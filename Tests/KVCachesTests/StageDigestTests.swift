import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What every cache of the matrix puts out and stores, as digests recorded on an earlier day: a change of the house must
/// not change a bit. `SLUICE_RECORD=1` records them anew; a line that changes needs its reason in the commit.
@Suite("Digests of every cache")
struct StageDigestTests {
  private static let file = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../Golden/stage-digests.txt").standardized

  @Test("outputs of prefill and decode and what is stored, as they were recorded")
  func digests() throws {
    // The portable kernels, which compute the same everywhere.
    let kernels = try #require(InstructionSet.available.last)
    var lines: [String] = []
    for plan in StageMatrix.plans {
      for slotType in KVCache.SlotType.allCases {
        lines.append("\(plan) \(slotType.rawValue) \(try Self.digest(plan: plan, slotType: slotType, kernels))")
      }
    }
    if ProcessInfo.processInfo.environment["SLUICE_RECORD"] == "1" {
      try (lines.joined(separator: "\n") + "\n").write(to: Self.file, atomically: true, encoding: .utf8)
    }
    let recorded = try String(contentsOf: Self.file, encoding: .utf8).split(separator: "\n").map(String.init)
    let known = Set(recorded)
    for line in lines where !known.contains(line) { Issue.record("not as recorded: \(line)") }
    #expect(recorded.count == lines.count, "a row too many or too few")
  }

  /// Digests of the outputs of a prompt and an answer, of decode alone, and of what is stored after each.
  static func digest(plan: String, slotType: KVCache.SlotType, _ kernels: InstructionSet) throws -> String {
    let subject = MatrixSubject.self
    let team = try WorkerTeam(threads: 1)
    let attention = LocalAttention(shape: subject.shape, team: team, kernels: kernels)
    var words: [String] = []
    for (chunking, prompt) in [(Chunking.sizes([9, 1, 14]), 48), (.ones, 64)] {
      let cache = try KVCache(
        plan: KVCache.Plan(plan), shape: subject.shape, slotType: slotType, positions: subject.positions)
      var digest = WordDigest()
      let read = attention.run(cache, subject.sequence, tokens: 0..<prompt, chunking: chunking)
      cache.finishPrompt(team: team, kernels: kernels)
      let answer = attention.run(cache, subject.sequence, tokens: prompt..<64, chunking: .ones)
      for outputs in [read, answer] {
        for layer in outputs {
          for value in layer { digest.fold(value.bitPattern) }
        }
      }
      words.append(String(digest.ordered, radix: 16))
      words.append(String(cache.storedDigest, radix: 16))
    }
    return words.joined(separator: " ")
  }
}

/// Digests of 32-bit words, in their order or whatever it is.
struct WordDigest {
  private(set) var ordered: UInt64 = 0xCBF2_9CE4_8422_2325
  private(set) var unordered: UInt64 = 0

  mutating func fold(_ word: UInt32) {
    ordered = (ordered ^ UInt64(word)) &* 0x100_0000_01B3
    ordered ^= ordered >> 29
    var mixed = UInt64(word) &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    unordered &+= mixed ^ (mixed >> 27)
  }

  /// Folds bytes, a last word filled up with zeros.
  mutating func fold(_ bytes: UnsafeRawBufferPointer) {
    for offset in stride(from: 0, to: bytes.count, by: 4) {
      var word: UInt32 = 0
      for index in 0..<min(4, bytes.count - offset) { word |= UInt32(bytes[offset + index]) << (8 * UInt32(index)) }
      fold(word)
    }
  }
}

extension KVCache {
  /// A digest of everything stored beside counters, whatever its order.
  fileprivate var storedDigest: UInt64 {
    var digest = WordDigest()
    for group in groups {
      for layer in group.heads.layers {
        for block in 0..<group.slots.blockCount {
          group.slots.forEachUsedRange(ofStepBlock: block, places: layer.places, by: group.ledger.stages) {
            digest.fold(UnsafeRawBufferPointer($0))
          }
        }
      }
      for state in group.states where state.isSaved {
        var writer = SectionWriter()
        for layer in group.heads.layers { state.write(layer.places, of: group, to: &writer) }
        writer.bytes.withUnsafeBytes { digest.fold($0) }
      }
    }
    return digest.unordered
  }
}

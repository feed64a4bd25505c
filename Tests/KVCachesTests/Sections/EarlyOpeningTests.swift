import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that go on while layers of their snapshot are still on their way.
@Suite("Caches opened early")
struct EarlyOpeningTests {
  typealias Subject = MatrixSubject
  typealias Shelf = RestorationTests.Shelf

  private static let sequences = [TokenSequence](repeating: Subject.sequence, count: Subject.shape.layers)

  private func makeCache(_ plan: String) throws -> KVCache {
    try KVCache(plan: try KVCache.Plan(plan), shape: Subject.shape, positions: Subject.positions)
  }

  /// A cache that has read a prompt of 30 tokens and five of an answer.
  private func fed(_ plan: String, _ attention: LocalAttention) throws -> KVCache {
    let cache = try makeCache(plan)
    _ = attention.run(cache, Subject.sequence, tokens: 0..<30, chunking: .sizes([7]))
    attention.endPrompt(of: cache)
    _ = attention.run(cache, Subject.sequence, tokens: 30..<35, chunking: .ones)
    return cache
  }

  /// A cache that was opened with as little as it can be, and the sections that are still to come.
  private func opened(
    _ plan: String, _ shelf: Shelf
  ) throws -> (cache: KVCache, restoration: Restoration, late: [SectionName]) {
    let cache = try makeCache(plan)
    let restoration = try shelf.restoration(of: cache)
    let early = restoration.sectionsBeforeOpening
    for name in shelf.others where early.contains(name) { try shelf.give(name, to: restoration) }
    restoration.open()
    return (cache, restoration, shelf.others.filter { !early.contains($0) })
  }

  @Test("each layer attends as soon as its own slots are there", arguments: StageMatrix.plans)
  func layerByLayer(plan: String) throws {
    for threads in [1, 2] {
      let attention = try Subject.attention(threads: threads)
      let whole = try fed(plan, attention)
      let shelf = try Shelf(whole)
      let (cache, restoration, late) = try opened(plan, shelf)
      #expect(cache.tokenCount == 35)
      let tokens = 35..<35 + min(whole.admissibleChunk(3), cache.admissibleChunk(3))
      let outputs = attention.step(cache, Self.sequences, tokens: tokens) { layer in
        for name in late where name.layer == layer {
          #expect(throws: Never.self, "\(plan)") { try shelf.give(name, to: restoration) }
        }
      }
      try restoration.finish()
      #expect(outputs == attention.step(whole, Self.sequences, tokens: tokens), "\(plan)")
      #expect(cache.snapshot() == whole.snapshot(), "\(plan)")
    }
  }

  @Test("slots are all that comes late, and of plans that look at all slots nothing does")
  func whatComesLate() throws {
    let attention = try Subject.attention(threads: 1)
    for (plan, comesLate) in [
      ("full", true), ("streaming-llm:2+9", true), ("cascading:24/2", true), ("h2o:16", true),
      ("snapkv:20[window=7]", true), ("window:5,clusters:18[positions=original]", true),
      ("quest:32[dense-layers=1]", false),
    ] {
      let (_, _, late) = try opened(plan, try Shelf(try fed(plan, attention)))
      #expect(late.isEmpty == !comesLate && late.allSatisfy { $0.state == "slots" }, "\(plan)")
    }
    let unfinished = try makeCache("snapkv:20[window=7]")
    _ = attention.run(unfinished, Subject.sequence, tokens: 0..<30, chunking: .sizes([7]))
    #expect(try opened("snapkv:20[window=7]", try Shelf(unfinished)).late.isEmpty)
  }

  @Test("attention waits for a thread that brings the slots")
  func otherThread() throws {
    for plan in ["full", "cascading:24/2", "h2o:16", "snapkv:20[window=7]"] {
      let attention = try Subject.attention(threads: 2)
      let whole = try fed(plan, attention)
      let shelf = try Shelf(whole)
      let (cache, restoration, late) = try opened(plan, shelf)
      let thread = Thread {
        for name in late.sorted(by: { $0.layer < $1.layer }) { try? shelf.give(name, to: restoration) }
      }
      thread.start()
      let rest = 35..<64
      let outputs = attention.run(cache, Subject.sequence, tokens: rest, chunking: .sizes([1, 6]))
      #expect(outputs == attention.run(whole, Subject.sequence, tokens: rest, chunking: .sizes([1, 6])), "\(plan)")
      #expect(cache.failure == nil && cache.snapshot() == whole.snapshot(), "\(plan)")
    }
  }

  private enum Fault: CaseIterable { case missing, abandoned, wrongLength, unknown }

  /// An opened cache whose last section does not come.
  private func failed(_ fault: Fault, _ shelf: Shelf) throws -> KVCache {
    let (cache, restoration, late) = try opened("full", shelf)
    for name in late.dropLast() { try shelf.give(name, to: restoration) }
    let last = try #require(late.last)
    switch fault {
    case .missing: #expect(throws: KVCacheError.self) { try restoration.finish() }
    case .abandoned: break
    case .wrongLength: #expect(throws: KVCacheError.self) { try [0].withUnsafeBytes { try restoration.take(last, $0) } }
    case .unknown: #expect(throws: KVCacheError.self) { try shelf.give(late[0], to: restoration) }
    }
    return cache
  }

  @Test("where layers never come, the step ends and the cache says that it is not to be used")
  func neverComes() throws {
    let attention = try Subject.attention(threads: 1)
    let shelf = try Shelf(try fed("full", attention))
    for fault in Fault.allCases {
      let cache = try failed(fault, shelf)
      _ = attention.run(cache, Subject.sequence, tokens: 35..<40, chunking: .ones)
      #expect(cache.failure != nil, "\(fault)")
      var sink = shelf
      #expect(throws: KVCacheError.self, "\(fault)") { try cache.write(cache.sections(), to: &sink) }
      cache.reset()
      #expect(cache.failure == nil && cache.tokenCount == 0, "\(fault)")
    }
  }
}

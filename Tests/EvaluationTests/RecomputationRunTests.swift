import Engine
import KVCaches
import TestSupport
import Testing

@testable import Evaluation

/// What a comparison with recomputed windows counts; how fast anything is depends on the machine and is no test's business.
@Suite struct RecomputationRunTests {
  @Test func `rounds become medians, ratios round by round`() {
    let row = RecomputationRun.row(window: 9, rounds: [(4, 2), (9, 1), (1, 4)])
    #expect(row == RecomputationRun.Row(window: 9, recomputationSeconds: 4, streamSeconds: 2, ratio: 2))
  }

  @Test func `every window has a row, in its order`() throws {
    let engine = try TinyModel().load(chunk: 16).engine
    var options = RecomputationRun.Options()
    (options.windows, options.decode, options.rounds) = ([40, 5, 16], 3, 2)
    var rows: [RecomputationRun.Row] = []
    try RecomputationRun.measure(engine, slotType: .float16, options: options) { rows.append($0) }
    #expect(rows.map(\.window) == [40, 5, 16])
    for row in rows { #expect(row.recomputationSeconds > 0 && row.streamSeconds > 0 && row.ratio > 0) }
  }
}

import Evaluation
import Testing

/// What the theorem's sketch takes.
@Suite struct SketchSizesTests {
  @Test func `numbers are those of the rules`() throws {
    let rows = SketchSizes.rows(dims: [4, 64], bounds: [1, 4])
    #expect(rows.map(\.degree) == [7, 13, 7, 13])
    // C(11, 4) and C(17, 4); 29 rows of 128 buckets, the sum of keys, products with 4 columns of values.
    #expect(rows.map(\.features) == [330, 2_380, nil, nil])
    #expect(rows[0].storedNumbers == 330 * (29 * 128 + 1 + 4) && rows[2].storedNumbers == nil)
    #expect(rows[0].leastTokens == 330 * 3_717 / 12 + 1)
  }

  @Test func `no size where there are too many features`() {
    #expect(SketchSize(dim: 64, bound: 1, kept: 8, tokens: 1_000_000) == nil)
    #expect(SketchSize(dim: 2, bound: 100, kept: 8, tokens: 1_000_000) == nil)
  }
}

import Kernels

/// Products of adapters, beside those of the group's matrices.
///
/// With few rows `down` is one more matrix of the group's own join. With many, one join of its own over the rows does
/// everything for its rows, which needs no join between `down` and `up`.
extension Pass {
  /// Where the matrices of a group write.
  typealias Outputs = (first: Buffer<Float>, second: Buffer<Float>?, third: Buffer<Float>?)

  /// Bytes of `up` matrices times rows from which a join costs less than the work it shares.
  private static var joinFrom: Int { 64 << 10 }

  /// The product with `down` as a member of the group's own join; nil where there is none or it gets its own join.
  func downSegment(_ group: LinearGroup) -> LinearSegment? {
    guard let lowRank = group.lowRank, isShort else { return nil }
    return LinearSegment(lowRank.down, out: workspace.lowRank.pointer, stride: lowRank.rank)
  }

  /// outputs += up · (down · input); the group's own products are done.
  func addLowRank(_ group: LinearGroup, _ input: Activations, to outputs: Outputs) {
    guard let lowRank = group.lowRank else { return }
    let products = workspace.lowRank.pointer
    if !isShort {
      let down = LinearSegment(lowRank.down, out: products, stride: lowRank.rank)
      team.parallelFor(rows) { range in
        kernels.linear(
          down, panels: 0..<lowRank.down.panelCount, inputs: input.values.pointer, stride: input.columns, tokens: range)
        for up in lowRank.ups { add(up, of: lowRank, panels: 0..<up.matrix.panelCount, rows: range, to: outputs) }
      }
      return
    }
    let bytes = lowRank.ups.reduce(0) { $0 + $1.matrix.bytes }
    if bytes * rows < Self.joinFrom {
      for up in lowRank.ups { add(up, of: lowRank, panels: 0..<up.matrix.panelCount, rows: 0..<rows, to: outputs) }
    } else {
      team.parallelFor(lowRank.ups.reduce(0) { $0 + $1.matrix.panelCount }) { range in
        var first = 0
        for up in lowRank.ups {
          let all = first..<first + up.matrix.panelCount
          let part = range.clamped(to: all)
          let panels = part.lowerBound - first..<part.upperBound - first
          add(up, of: lowRank, panels: panels, rows: 0..<rows, to: outputs)
          first = all.upperBound
        }
      }
    }
  }

  private func add(
    _ up: LowRankGroup.Up, of group: LowRankGroup, panels: Range<Int>, rows: Range<Int>, to outputs: Outputs
  ) {
    guard let output = up.index == 0 ? outputs.first : up.index == 1 ? outputs.second : outputs.third else { return }
    kernels.linear(
      LinearSegment(up.matrix, out: output.pointer, stride: up.matrix.rows, accumulates: true), panels: panels,
      inputs: workspace.lowRank.pointer + up.offset, stride: group.rank, tokens: rows)
  }
}

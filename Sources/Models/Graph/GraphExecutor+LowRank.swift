import Kernels

/// Products of adapters, beside those of the group's matrices.
///
/// With few rows `down` is one more matrix of the group's own join. With many, one join of its own over the rows does
/// everything for its rows, which needs no join between `down` and `up`.
extension GraphExecutor {
  /// Bytes of `up` matrices times rows from which a join costs less than the work it shares.
  private static var joinFrom: Int { 64 << 10 }

  /// The product with `down` as a member of the group's own join; nil where there is none or it gets its own join.
  func downSegment(_ projection: UnsafePointer<Projection>) -> LinearSegment? {
    guard isShort else { return nil }
    return projection.pointee.down?.writing(to: workspace.lowRank.pointer)
  }

  /// outputs += up · (down · input); the group's own products are done.
  func addLowRank(_ projection: UnsafePointer<Projection>, _ input: Activations) {
    guard let down = projection.pointee.down else { return }
    if !isShort {
      let segment = down.writing(to: workspace.lowRank.pointer)
      team.parallelFor(rows) { range in
        kernels.linear(
          segment, panels: 0..<down.panelCount, inputs: input.values.pointer, stride: input.columns, tokens: range)
        forEachUp(of: projection) { product, up in
          add(up, of: product, rank: down.rows, panels: 0..<up.panelCount, rows: range)
        }
      }
      return
    }
    var (bytes, panels) = (0, 0)
    forEachUp(of: projection) { _, up in
      bytes += up.bytes
      panels += up.panelCount
    }
    if bytes * rows < Self.joinFrom {
      forEachUp(of: projection) { product, up in
        add(up, of: product, rank: down.rows, panels: 0..<up.panelCount, rows: 0..<rows)
      }
      return
    }
    team.parallelFor(panels) { range in
      var first = 0
      forEachUp(of: projection) { product, up in
        let all = first..<first + up.panelCount
        let part = range.clamped(to: all)
        add(
          up, of: product, rank: down.rows, panels: part.lowerBound - first..<part.upperBound - first, rows: 0..<rows)
        first = all.upperBound
      }
    }
  }

  private func forEachUp(
    of projection: UnsafePointer<Projection>, _ body: (Projection.Product, LinearSegment) -> Void
  ) {
    let (first, second, third) = (projection.pointee.first, projection.pointee.second, projection.pointee.third)
    if let up = first.up { body(first, up) }
    if let second, let up = second.up { body(second, up) }
    if let third, let up = third.up { body(third, up) }
  }

  private func add(
    _ up: LinearSegment, of product: Projection.Product, rank: Int, panels: Range<Int>, rows: Range<Int>
  ) {
    kernels.linear(
      up.writing(to: row0(product.output), accumulates: true), panels: panels,
      inputs: workspace.lowRank.pointer + product.upOffset, stride: rank, tokens: rows)
  }
}

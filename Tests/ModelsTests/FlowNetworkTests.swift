import Kernels
import Testing

@testable import Models

/// Cuts of small graphs against trying all of them.
struct FlowNetworkTests {
  private struct Arc {
    let from: Int
    let to: Int
    let capacity: Int
  }

  /// The cheapest of all ways to divide the nodes, and the most nodes that stand near in one of those.
  private func best(_ arcs: [Arc], nodes: Int) -> (capacity: Int, near: Int) {
    var best = (capacity: Int.max, near: 0)
    for mask in 0..<1 << nodes where mask & 1 == 1 && mask >> (nodes - 1) == 0 {
      let cost = arcs.reduce(0) { sum, arc in
        sum + (mask >> arc.from & 1 == 1 && mask >> arc.to & 1 == 0 ? arc.capacity : 0)
      }
      let near = mask.nonzeroBitCount
      if cost < best.capacity || (cost == best.capacity && near > best.near) { best = (cost, near) }
    }
    return best
  }

  @Test(arguments: 2...9) func `as cheap as the best of all, with most nodes near`(nodes: Int) {
    var random = SplitMix64(seed: UInt64(nodes))
    for _ in 0..<60 {
      let arcs = (0..<Int.random(in: 1...3 * nodes, using: &random)).map { _ in
        Arc(
          from: .random(in: 0..<nodes, using: &random), to: .random(in: 0..<nodes, using: &random),
          capacity: .random(in: 0...6, using: &random))
      }
      var network = FlowNetwork(nodes: nodes)
      for arc in arcs { network.connect(arc.from, arc.to, capacity: arc.capacity) }
      let cut = network.minimumCut(from: 0, to: nodes - 1)
      let expected = best(arcs, nodes: nodes)
      #expect(cut.capacity == expected.capacity)
      #expect(cut.isNear.count(where: { $0 }) == expected.near && cut.isNear[0] && !cut.isNear[nodes - 1])
      let crossing = arcs.filter { cut.isNear[$0.from] && !cut.isNear[$0.to] }
      #expect(crossing.reduce(0) { $0 + $1.capacity } == cut.capacity)
    }
  }
}

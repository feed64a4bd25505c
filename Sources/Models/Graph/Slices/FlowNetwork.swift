/// A small directed graph with capacities, to be cut in two as cheaply as possible.
///
/// By augmenting along shortest paths, level by level (Dinic 1970).
struct FlowNetwork {
  /// More than all bounded capacities together may be.
  static let unbounded = 1 << 50

  private struct Arc {
    let target: Int
    var residual: Int
  }

  /// Each beside its reverse: that of `arcs[i]` is `arcs[i ^ 1]`.
  private var arcs: [Arc] = []
  /// The arcs that leave a node, `[node]`.
  private var leaving: [[Int]]

  init(nodes: Int) { leaving = [[Int]](repeating: [], count: nodes) }

  /// Adds an arc; of nodes that must not be parted it is unbounded.
  mutating func connect(_ from: Int, _ to: Int, capacity: Int = unbounded) {
    leaving[from].append(arcs.count)
    arcs.append(Arc(target: to, residual: capacity))
    leaving[to].append(arcs.count)
    arcs.append(Arc(target: from, residual: 0))
  }

  /// The cheapest cut between two nodes, and of all that are as cheap the one with most nodes on the source's side.
  ///
  /// - Precondition: not every cut goes through an unbounded arc.
  /// - Returns: the sum of what is cut, and of each node whether it stands on the source's side.
  func minimumCut(from source: Int, to sink: Int) -> (capacity: Int, isNear: [Bool]) {
    var rest = self
    var flow = 0
    while let levels = rest.levels(from: source, to: sink) {
      var next = [Int](repeating: 0, count: leaving.count)
      while true {
        let added = rest.push(Self.unbounded, from: source, to: sink, levels, &next)
        if added == 0 { break }
        flow += added
        precondition(flow < Self.unbounded, "two nodes that must not be parted are to be parted")
      }
    }
    return (flow, rest.cannotReach(sink))
  }

  /// How many arcs with something left lie between the source and a node, `[node]`; nil where none lead to the sink.
  private func levels(from source: Int, to sink: Int) -> [Int]? {
    var levels = [Int](repeating: -1, count: leaving.count)
    levels[source] = 0
    var queue = [source]
    var head = 0
    while head < queue.count {
      let node = queue[head]
      head += 1
      for index in leaving[node] where arcs[index].residual > 0 && levels[arcs[index].target] < 0 {
        levels[arcs[index].target] = levels[node] + 1
        queue.append(arcs[index].target)
      }
    }
    return levels[sink] < 0 ? nil : levels
  }

  /// Sends up to `limit` along one path that rises through the levels; what was sent.
  private mutating func push(_ limit: Int, from node: Int, to sink: Int, _ levels: [Int], _ next: inout [Int]) -> Int {
    if node == sink { return limit }
    while next[node] < leaving[node].count {
      let index = leaving[node][next[node]]
      let arc = arcs[index]
      if arc.residual > 0, levels[arc.target] == levels[node] + 1 {
        let sent = push(min(limit, arc.residual), from: arc.target, to: sink, levels, &next)
        if sent > 0 {
          arcs[index].residual -= sent
          arcs[index ^ 1].residual += sent
          return sent
        }
      }
      next[node] += 1
    }
    return 0
  }

  /// The nodes from which nothing more would get to the sink, `[node]`.
  private func cannotReach(_ sink: Int) -> [Bool] {
    var isNear = [Bool](repeating: true, count: leaving.count)
    isNear[sink] = false
    var queue = [sink]
    while let node = queue.popLast() {
      for index in leaving[node] where arcs[index ^ 1].residual > 0 && isNear[arcs[index].target] {
        isNear[arcs[index].target] = false
        queue.append(arcs[index].target)
      }
    }
    return isNear
  }
}

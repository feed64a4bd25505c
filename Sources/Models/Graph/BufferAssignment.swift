/// Which buffer each value of a graph is in, while the graph is compiled step by step.
struct BufferAssignment {
  private let graph: OrderedGraph
  private let isForLogits: Bool
  /// `[value]`; nil before a value is made, and once its buffer is another's.
  private var places: [Int?]

  init(_ graph: OrderedGraph, isForLogits: Bool) {
    self.graph = graph
    self.isForLogits = isForLogits
    places = [Int?](repeating: nil, count: graph.lastUse.count)
  }

  subscript(value: LayerGraph.Value) -> Int {
    get {
      guard let place = places[value.index] else { preconditionFailure("a value is read that is not there") }
      return place
    }
    set { places[value.index] = newValue }
  }

  /// A buffer for what a step makes: that of an input like it which is read for the last time there, or another.
  mutating func place(
    _ value: LayerGraph.Value, replacing inputs: [LayerGraph.Value] = [], at step: Int, in buffers: inout BufferPlan
  ) -> Int {
    let entry = BufferPlan.Entry(
      width: value.width, feedsProducts: graph.feedsProducts(value), isForLogits: isForLogits)
    let old = inputs.first {
      graph.lastUse[$0.index] == step && self[$0] > BufferPlan.chosen && buffers.entries[self[$0]] == entry
    }
    let place = old.map { self[$0] } ?? buffers.take(entry)
    if let old { places[old.index] = nil }
    self[value] = place
    return place
  }

  /// The buffer of a value, which becomes that of what a step makes of it in place.
  mutating func overwrite(_ old: LayerGraph.Value, by new: LayerGraph.Value, at step: Int) -> Int {
    precondition(graph.lastUse[old.index] == step, "a value is overwritten that is still read")
    self[new] = self[old]
    places[old.index] = nil
    return self[new]
  }

  /// Gives back the buffers of values that nothing reads after a step.
  mutating func endStep(_ step: Int, in buffers: inout BufferPlan) {
    for (index, last) in graph.lastUse.enumerated() where last == step {
      if let place = places[index], place > BufferPlan.chosen { buffers.giveBack(place) }
      places[index] = nil
    }
  }
}

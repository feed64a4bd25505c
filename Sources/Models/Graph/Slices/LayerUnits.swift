/// A layer's operations in the pieces in which they run, and which of them wait for which.
///
/// A product that is only added to something is one piece with its sum, which adds it in place.
struct LayerUnits {
  struct Unit {
    /// In the order in which they run.
    let nodes: [LayerGraph.Node]
    /// What it reads of other units.
    let inputs: [LayerGraph.Value]
    let outputs: [LayerGraph.Value]
    /// Units that come before it, in the order of the graph.
    fileprivate(set) var predecessors: [Int] = []
  }

  /// In the order of the graph.
  private(set) var units: [Unit] = []
  /// The one that attends; nil where none does.
  private(set) var attention: Int?
  /// The unit that makes a value, `[value]`; nil inside of a unit.
  private var makers: [Int?]

  /// - Precondition: the layer attends once at most, since its memory is asked by the number of the layer.
  init(_ graph: LayerGraph) {
    makers = [Int?](repeating: nil, count: graph.count)
    let uses = GraphUses(graph)
    for node in graph.nodes where !uses.isAddedInPlace(node) {
      let nodes = (uses.productAddedInPlace(by: node).map { [$0] } ?? []) + [node]
      let inner = Set(nodes.dropLast().flatMap(\.outputs))
      for value in node.outputs { makers[value.index] = units.count }
      if case .attention = node.operation {
        precondition(attention == nil, "a layer attends once")
        attention = units.count
      }
      units.append(
        Unit(
          nodes: nodes, inputs: nodes.flatMap(\.inputs).filter { !inner.contains($0) }, outputs: node.outputs))
    }
    var readers = [[Int]](repeating: [], count: graph.count)
    for (index, unit) in units.enumerated() { for value in unit.inputs { readers[value.index].append(index) } }
    for (index, unit) in units.enumerated() {
      let sources = unit.inputs.compactMap { makers[$0.index] }
      // Who reads a value comes before who overwrites it.
      let others = unit.nodes.flatMap(\.overwritten).flatMap { readers[$0.index] }.filter { $0 != index }
      units[index].predecessors = Set(sources + others).sorted()
    }
  }

  func maker(of value: LayerGraph.Value) -> Int? { makers[value.index] }

  /// Some units and all that come before them, `[unit]`.
  func ancestors(of some: [Int]) -> [Bool] { closure(some) { units[$0].predecessors } }

  /// A unit and all that come after it, `[unit]`.
  func descendants(of unit: Int) -> [Bool] {
    var successors = [[Int]](repeating: [], count: units.count)
    for (index, unit) in units.enumerated() { for earlier in unit.predecessors { successors[earlier].append(index) } }
    return closure([unit]) { successors[$0] }
  }

  private func closure(_ start: [Int], next: (Int) -> [Int]) -> [Bool] {
    var isReached = [Bool](repeating: false, count: units.count)
    var queue = start
    while let unit = queue.popLast() {
      if isReached[unit] { continue }
      isReached[unit] = true
      queue += next(unit)
    }
    return isReached
  }
}

extension LayerGraph.Node {
  /// Inputs in whose place the output is made, or that are spoiled.
  var overwritten: ArraySlice<LayerGraph.Value> {
    switch operation {
    case .sum, .scale, .scaleStored, .scaleEach, .gateRows, .softCap, .clamp: inputs.prefix(1)
    case .deltaRule: inputs[...]
    case .input, .norm, .linear, .activation, .product, .tableRows, .beside, .attention, .convolution, .experts: []
    }
  }
}

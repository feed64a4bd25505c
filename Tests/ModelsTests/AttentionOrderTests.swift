import KVCaches
import Kernels
import Models
import Testing
import Weights

/// What a model asks of its memory in a layer, in which order.
struct AttentionOrderTests {
  /// Attention that notes what it is asked for.
  private final class NotingAttention: LayerAttention {
    enum Call: Equatable {
      case begin(Int)
      case offer(Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>)
      case finish(Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?)
    }

    private let inner: LocalAttention
    private(set) var calls: [Call] = []

    init(_ inner: LocalAttention) { self.inner = inner }

    func begin(layer: Int, queries: UnsafePointer<Float>) {
      calls.append(.begin(layer))
      inner.begin(layer: layer, queries: queries)
    }

    func offer(layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
      calls.append(.offer(layer, keys: keys, values: values))
    }

    func finish(
      layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>
    ) {
      calls.append(.finish(layer, keys: keys, values: values))
      inner.finish(layer: layer, keys: keys, values: values, output: output)
    }
  }

  @Test(arguments: ["llama3-rope", "falcon", "gemma4", "qwen3"], [false, true])
  func `queries, then keys and values, then the result`(name: String, queriesFirst: Bool) throws {
    let team = try WorkerTeam(threads: 1)
    let model = try ModelRegistry.load(WeightFile.open(Golden.path(name)), team: team, queriesFirst: queriesFirst)
    let layers = model.configuration.layers
    let workspace = ForwardWorkspace(
      model.buffers, rows: 3, logitRows: 1, arithmetic: .float32, kernels: .current)
    let local = LocalAttention(layers: layers, team: team, kernels: .current)
    let attention = NotingAttention(local)
    let cache = try KVCache(plan: .full, layers: layers, slotType: .float32)
    local.beginStep([LocalAttention.Segment(memory: cache, rows: 0..<3)])
    let ids: [Int32] = [1, 2, 3]
    ids.withUnsafeBufferPointer { model.forward($0, attention: attention, workspace: workspace, team: team) }
    var calls = attention.calls[...]
    for (index, layer) in layers.enumerated() {
      #expect(calls.popFirst() == .begin(index))
      var offered: (keys: UnsafePointer<Float>, values: UnsafePointer<Float>)?
      if layer.keepsKeys, case .offer(index, let keys, let values)? = calls.popFirst() { offered = (keys, values) }
      #expect((offered != nil) == layer.keepsKeys)
      #expect(calls.popFirst() == .finish(index, keys: offered?.keys, values: offered?.values))
    }
    #expect(calls.isEmpty)
  }
}

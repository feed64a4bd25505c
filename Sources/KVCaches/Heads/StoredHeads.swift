import Kernels

/// The KV heads of a model whose tokens a cache, or a part of one, holds, in the order in which it stores them.
struct StoredHeads: @unchecked Sendable {
  /// The model's.
  let model: KVCache.Shape
  /// That of storage: the heads in one layer where they are not all of the model's.
  let shape: KVCache.Shape
  /// Where each head is stored, -1 for those held elsewhere, `[layer, KV head]`; written once.
  private let places: Buffer<Int32>

  /// All heads of a model.
  init(allOf model: KVCache.Shape) {
    self.model = model
    shape = model
    places = Buffer(count: model.layers * model.keyValueHeads)
    for head in 0..<places.count { places.pointer[head] = Int32(head) }
  }

  /// Some heads of a model, which count through all layers.
  ///
  /// - Precondition: there is at least one, and none stands twice.
  init(_ heads: [Int], of model: KVCache.Shape) {
    self.model = model
    shape = KVCache.Shape(
      layers: 1, queryHeads: heads.count * model.groupSize, keyValueHeads: heads.count, headDim: model.headDim)
    places = Buffer(count: model.layers * model.keyValueHeads)
    places.elements.update(repeating: -1)
    for (place, head) in heads.enumerated() {
      precondition(places.pointer[head] < 0, "a head is stored once")
      places.pointer[head] = Int32(place)
    }
  }

  /// How many heads are stored.
  var count: Int { shape.layers * shape.keyValueHeads }

  /// A short text that differs between choices of heads.
  var fingerprint: String {
    String(places.elements.reduce(UInt64(count)) { ($0 &* 31) &+ UInt64(truncatingIfNeeded: $1) }, radix: 16)
  }

  /// Where a head is stored, or -1.
  func place(layer: Int, head: Int) -> Int { Int(places.pointer[layer * model.keyValueHeads + head]) }
}

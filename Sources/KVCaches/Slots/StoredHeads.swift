import Kernels

/// The KV heads of a model whose tokens a head group holds, in the order in which it stores them: by layer, then by head.
///
/// A head's *place* is its index in that order. Where a group holds all heads of all layers, place is
/// `layer * KV heads + head`.
struct StoredHeads: @unchecked Sendable {
  /// The heads of one layer that are stored, by their places.
  struct Layer: Sendable {
    /// The model's.
    var layer: Int
    var places: Range<Int>
    /// How many layers read its keys, itself included.
    var readers = 1
  }

  /// The KV heads of each of the model's layers that the group could hold.
  let keyValueHeads: Int
  /// The layers that have heads here, ascending.
  let layers: [Layer]
  /// Where each head is stored, -1 for those held elsewhere, `[model's layer, KV head]`; written once.
  private let places: Buffer<Int32>
  /// The model's number of each head stored, `layer * KV heads + head`, `[place]`.
  let modelHeads: [Int]
  /// How many layers read the keys of a layer's owner before it does: 0 for owners, whose heads those of the others are found
  /// at, `[model's layer]`; written once.
  private let readerNumbers: Buffer<Int32>

  /// Some heads of a model of so many layers with `keyValueHeads` KV heads each, given by `layer * KV heads + head`.
  ///
  /// - Parameter sharing: for layers that read the keys of an earlier one, that layer
  /// - Precondition: they ascend, and none stands twice.
  init(_ heads: [Int], layers count: Int, keyValueHeads: Int, sharing: [Int: Int] = [:]) {
    self.keyValueHeads = keyValueHeads
    modelHeads = heads
    places = Buffer(count: count * keyValueHeads)
    places.elements.update(repeating: -1)
    var layers: [Layer] = []
    for (place, head) in heads.enumerated() {
      precondition(place == 0 || heads[place - 1] < head, "heads ascend, and each is stored once")
      places.pointer[head] = Int32(place)
      if layers.last?.layer != head / keyValueHeads {
        layers.append(Layer(layer: head / keyValueHeads, places: place..<place))
      }
      layers[layers.count - 1].places = layers[layers.count - 1].places.lowerBound..<place + 1
    }
    readerNumbers = Buffer(count: count)
    readerNumbers.elements.update(repeating: 0)
    for (reader, owner) in sharing.sorted(by: { $0.key < $1.key }) {
      if let index = layers.firstIndex(where: { $0.layer == owner }) {
        readerNumbers.pointer[reader] = Int32(layers[index].readers)
        layers[index].readers += 1
      }
      for head in 0..<keyValueHeads {
        places.pointer[reader * keyValueHeads + head] = places.pointer[owner * keyValueHeads + head]
      }
    }
    self.layers = layers
  }

  /// How many layers read the keys of a layer's owner before it does; 0 for the owner itself.
  func readerNumber(layer: Int) -> Int { Int(readerNumbers.pointer[layer]) }

  /// How many heads are stored; none where all of them are kept elsewhere.
  var count: Int { modelHeads.count }

  /// A short text that differs between choices of heads.
  var fingerprint: String {
    String(places.elements.reduce(UInt64(count)) { ($0 &* 31) &+ UInt64(truncatingIfNeeded: $1) }, radix: 16)
  }

  /// Where each head is stored, -1 for those held elsewhere, `[model's layer, KV head]`; valid as long as this.
  var table: UnsafePointer<Int32> { UnsafePointer(places.pointer) }

  /// Where a head is stored, or -1.
  func place(layer: Int, head: Int) -> Int { Int(places.pointer[layer * keyValueHeads + head]) }
}

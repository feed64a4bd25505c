package import Kernels

extension KVCache {
  /// The number format of stored keys and values.
  public enum SlotType: String, Sendable, Hashable, CaseIterable {
    case float32 = "f32"
    case float16 = "f16"
    case bfloat16 = "bf16"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case q8_0 = "q8_0"
    /// Values of 4 bits with a scale and a minimum for 32 of them; keys, which lose more in few bits, as in `q8_0`.
    // swift-format-ignore: AlwaysUseLowerCamelCase
    case q8_0_q4_1 = "q8_0/q4_1"

    package var elementType: ElementType {
      switch self {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      case .q8_0: .q8_0
      case .q8_0_q4_1: .q4_1
      }
    }
  }

  /// The attention shape of a model, which with a plan fixes the bytes of a cache.
  public struct Shape: Sendable, Hashable {
    public let layers: Int
    public let queryHeads: Int
    public let keyValueHeads: Int
    public let headDim: Int

    /// - Precondition: all are positive and query heads are a multiple of KV heads.
    public init(layers: Int, queryHeads: Int, keyValueHeads: Int, headDim: Int) {
      precondition(layers > 0 && queryHeads > 0 && keyValueHeads > 0 && headDim > 0)
      precondition(queryHeads % keyValueHeads == 0, "query heads must be a multiple of KV heads")
      self.layers = layers
      self.queryHeads = queryHeads
      self.keyValueHeads = keyValueHeads
      self.headDim = headDim
    }

    /// Layers of a model, and heads of the first one that attends.
    ///
    /// - Precondition: there is one.
    package init(_ layers: [AttentionLayer]) {
      guard let first = layers.first(where: { $0.recurrence == nil }) else {
        preconditionFailure("a model in which no layer attends")
      }
      self.init(
        layers: layers.count, queryHeads: first.queryHeads, keyValueHeads: first.keyValueHeads, headDim: first.headDim)
    }

    /// Query heads that share one KV head.
    public var groupSize: Int { queryHeads / keyValueHeads }

    /// That of one layer alone.
    package var oneLayer: Shape {
      Shape(layers: 1, queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDim: headDim)
    }

    /// Tokens that are attended with at once; with the group's heads they fill a kernel's tile.
    var tileTokens: Int { max(1, 96 / groupSize) }
  }
}

package import KVCaches
import TestSupport

/// A token that comes again and again: all keys and values of a head are then equal up to positions, so whatever a cache
/// keeps, it must answer with the value.
package enum RepeatedToken {
  /// Every preset, small.
  package static let presets: [String: String] = [
    "full": "full", "streaming-llm": "streaming-llm:2+9", "cascading": "cascading:20/3", "h2o": "h2o:14",
    "tova": "tova:14", "snapkv": "snapkv:14[window=4]", "quest": "quest:32",
    "duo-attention": "duo-attention:2+9[heads=mask]",
    "k-center": "k-center:14[window=4]", "subgen": "subgen:20[window=5]", "uniform": "uniform:20[window=5]",
    "sketch": "sketch:256[window=5,rank=4]", "infini": "infini:7[gate=0.3]",
  ]

  /// Others of the same kinds.
  package static let variants = [
    "cascading:20/3[select=off]", "h2o:14[positions=clipped]",
    "snapkv[ratio=0.5,window=4,heads=adaptive,layers=pyramid]",
    "k-center:14[window=4,recompress=9]", "k-center[ratio=0.9]", "subgen:20[window=5,mode=paper,t=2]",
    "subgen:20[window=5,half-life=off]", "subgen:20[window=5,positions=original]", "window:20,moments:7",
    "sinks:2,window:9,scored:9,moments:7[positions=clipped]", "segment:7,compressive[gate=2]",
  ]

  /// A resolver for which half of the heads of two layers with two heads each keep everything.
  package static let resolver = PlanResolver { name throws(KVCacheError) in try HeadMask(text: "1 0\n0 1\n", name: name)
  }

  /// A sequence whose tokens have the same key and value in each head, and queries of their own.
  package static func sequence(shape: KVCache.Shape, positions: PositionEncoding, count: Int) -> TokenSequence {
    var sequence = TokenSequence(shape: shape, positions: positions, count: count, seed: 23)
    for layer in 0..<shape.layers {
      for head in 0..<shape.keyValueHeads {
        let key = Array(sequence.key(layer: layer, token: 0, head: head))
        let value = Array(sequence.value(layer: layer, token: 0, head: head))
        for token in 1..<count {
          sequence.set(key: key, layer: layer, token: token, head: head)
          sequence.set(value: value, layer: layer, token: token, head: head)
        }
      }
    }
    return sequence
  }
}

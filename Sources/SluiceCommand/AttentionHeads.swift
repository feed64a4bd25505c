import ArgumentParser
import KVCaches

/// The heads of an attention layer as users write them: `9/3x64` is 9 query heads, 3 KV heads, 64 dimensions.
struct AttentionHeads: ExpressibleByArgument, CustomStringConvertible {
  let query, keyValue, dim: Int

  init(query: Int, keyValue: Int, dim: Int) {
    (self.query, self.keyValue, self.dim) = (query, keyValue, dim)
  }

  init?(argument: String) {
    let parts = argument.split(whereSeparator: { "/x".contains($0) }).map { Int($0) }
    guard parts.count == 3, let query = parts[0], let keyValue = parts[1], let dim = parts[2],
      (1...1024).contains(query), (1...query).contains(keyValue), query % keyValue == 0, (2...1024).contains(dim),
      dim % 2 == 0, argument == "\(query)/\(keyValue)x\(dim)"
    else { return nil }
    self.init(query: query, keyValue: keyValue, dim: dim)
  }

  var description: String { "\(query)/\(keyValue)x\(dim)" }

  /// One layer of such heads.
  var shape: KVCache.Shape {
    KVCache.Shape(layers: 1, queryHeads: query, keyValueHeads: keyValue, headDim: dim)
  }
}

import KVCaches
import Weights

/// The numbers that every family has.
struct ModelSizes {
  let vocabulary: Int
  let hidden: Int
  let feedForward: Int
  let layers: Int
  let heads: Int
  let keyValueHeads: Int
  let headDim: Int
  var trainedLength: Int

  var queryWidth: Int { heads * headDim }
  var keyWidth: Int { keyValueHeads * headDim }

  /// A layer of these heads.
  func layer(positions: PositionEncoding) -> AttentionLayer {
    AttentionLayer(queryHeads: heads, keyValueHeads: keyValueHeads, headDim: headDim, positions: positions)
  }

  func configuration(_ architecture: String, layers: [AttentionLayer]) -> ModelConfiguration {
    ModelConfiguration(
      architecture: architecture, vocabularySize: vocabulary, hiddenSize: hidden, feedForwardSize: feedForward,
      layers: layers, trainedLength: trainedLength)
  }

  /// - Throws: `ModelError` for a size that is impossible or would overflow a product.
  func check(in file: WeightFile) throws {
    let limits: [(String, Int, Int)] = [
      ("vocabulary size", vocabulary, 1 << 24), ("hidden size", hidden, 1 << 20),
      ("feed-forward size", feedForward, 1 << 22), ("layers", layers, 1 << 12), ("heads", heads, 1 << 12),
      ("KV heads", keyValueHeads, 1 << 12), ("head size", headDim, 1 << 12), ("context length", trainedLength, 1 << 30),
    ]
    for (name, value, limit) in limits where !(1...limit).contains(value) {
      throw ModelError.badValue(name, "must be from 1 to \(limit), but is \(value)", in: file.path)
    }
    guard layers * keyValueHeads * headDim <= 1 << 28 else {
      throw ModelError.badValue("layers", "(\(layers)) make keys of more than \(1 << 28) values a token", in: file.path)
    }
    guard heads % keyValueHeads == 0 else {
      throw ModelError.badValue("heads", "(\(heads)) must be a multiple of KV heads (\(keyValueHeads))", in: file.path)
    }
    guard headDim % 2 == 0 else {
      throw ModelError.badValue("head size", "must be even, but is \(headDim)", in: file.path)
    }
  }
}

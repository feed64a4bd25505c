import Foundation

@testable import Tokenizers

/// Readers of two formats in which vocabularies are published besides GGUF and tokenizer.json.
enum OtherFormats {
  /// `vocab.bpe` with the merges and `encoder.json` with the ids.
  static func llama3(folder: String) throws -> TokenizerDescription {
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: folder + "/encoder.json")))
    let ids = json as? [String: Int] ?? [:]
    var description = TokenizerDescription(
      model: "gpt2", preTokenizer: "llama-bpe",
      tokens: [String](repeating: "", count: (ids.values.max() ?? -1) + 1))
    for (token, id) in ids { description.tokens[id] = token }
    description.merges = try String(contentsOfFile: folder + "/vocab.bpe", encoding: .utf8)
      .split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#version") }
    return description
  }

  /// One line a token: its bytes in base 64, and its rank, which is its id and the order of its merge.
  static func qwen2(path: String) throws -> TokenizerDescription {
    var ranks: [[UInt8]: Int] = [:]
    var pieces: [[UInt8]] = []
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count == 2, let data = Data(base64Encoded: String(fields[0])) else { continue }
      ranks[Array(data)] = pieces.count
      pieces.append(Array(data))
    }
    func spelled(_ bytes: [UInt8]) -> String {
      String(String.UnicodeScalarView(bytes.compactMap { Unicode.Scalar(ByteAlphabet.scalars[Int($0)]) }))
    }
    var description = TokenizerDescription(model: "gpt2", preTokenizer: "qwen2", tokens: pieces.map(spelled))
    for (rank, piece) in pieces.enumerated() where piece.count > 1 {
      // The two tokens that merge to a token are what its bytes merge to by the ranks below its own.
      var parts = piece.map { [$0] }
      while parts.count > 2 {
        var best: (rank: Int, place: Int)?
        for place in 0..<parts.count - 1 {
          if let found = ranks[parts[place] + parts[place + 1]], found < rank, found < best?.rank ?? .max {
            best = (found, place)
          }
        }
        guard let best else { break }
        parts.replaceSubrange(best.place...best.place + 1, with: [parts[best.place] + parts[best.place + 1]])
      }
      if parts.count == 2 { description.merges.append(spelled(parts[0]) + " " + spelled(parts[1])) }
    }
    return description
  }
}

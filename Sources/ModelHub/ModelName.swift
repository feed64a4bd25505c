/// What users call a model of a hub: `OWNER/REPO`, or `OWNER/REPO:QUANT` for one of its quantisations.
package struct ModelName: Sendable, Hashable {
  package let owner: String
  package let repository: String
  /// What follows the colon: a quantisation as file names spell it, a file's name, or `safetensors`; nil leaves the choice.
  package let quantization: String?

  package var repositoryName: String { owner + "/" + repository }

  package init(owner: String, repository: String, quantization: String? = nil) {
    self.owner = owner
    self.repository = repository
    self.quantization = quantization
  }

  /// Reads a name; the hub's own address may stand before it, as in `hf.co/OWNER/REPO`.
  ///
  /// Names become folders, so only the characters that hubs allow in them pass, and none that begins with a point.
  /// Returns nil where the text is no such name.
  package init?(_ text: String) {
    var text = text[...]
    for prefix in ["https://", "huggingface.co/", "hf.co/"] where text.hasPrefix(prefix) {
      text = text.dropFirst(prefix.count)
    }
    let colon = text.firstIndex(of: ":")
    let parts = text[..<(colon ?? text.endIndex)].split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy(Self.isPlain) else { return nil }
    owner = String(parts[0])
    repository = String(parts[1])
    guard let colon else {
      quantization = nil
      return
    }
    let rest = text[text.index(after: colon)...]
    guard !rest.isEmpty, rest.utf8.count <= 255, RepositoryPath.isSafe(String(rest)) else { return nil }
    quantization = String(rest)
  }

  private static func isPlain(_ part: Substring) -> Bool {
    (1...96).contains(part.utf8.count) && part.first != "." && part.first != "-"
      && part.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
      }
  }
}

extension ModelName: CustomStringConvertible {
  package var description: String { repositoryName + (quantization.map { ":" + $0 } ?? "") }
}

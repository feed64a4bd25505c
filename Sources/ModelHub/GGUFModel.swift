/// A GGUF model of a repository: one file, or all parts of one that is split, in order.
struct GGUFModel: Sendable, Hashable {
  /// The path without the ending of a part and `.gguf`.
  let name: String
  let parts: [RepositoryFile]
  /// How many parts there should be.
  let count: Int

  var isWhole: Bool { parts.count == count }

  /// The quantisation that the file's name tells, in upper case, such as `Q4_K_M`, `IQ3_XXS`, `UD-Q2_K_XL`, `BF16`; the whole
  /// name where it tells none.
  var label: String {
    let fileName = RepositoryPath.name(name)
    return Self.quantization(in: fileName) ?? fileName
  }

  /// The models among files, by name: those that are no projector of images and no importance matrix.
  static func models(among files: [RepositoryFile]) -> [GGUFModel] {
    var models: [GGUFModel] = []
    var split: [String: [Int: RepositoryFile]] = [:]
    var names: [String: String] = [:]
    var counts: [String: Int] = [:]
    for file in files where file.path.lowercased().hasSuffix(".gguf") {
      let fileName = RepositoryPath.name(file.path).lowercased()
      if fileName.contains("mmproj") || fileName.contains("imatrix") { continue }
      if let part = Part(file.path) {
        let key = part.name + " of \(part.count)"
        split[key, default: [:]][part.index] = file
        names[key] = part.name
        counts[key] = part.count
      } else {
        models.append(GGUFModel(name: String(file.path.dropLast(5)), parts: [file], count: 1))
      }
    }
    for (key, found) in split {
      let parts = found.sorted { $0.key < $1.key }.map(\.value)
      models.append(GGUFModel(name: names[key] ?? key, parts: parts, count: counts[key] ?? parts.count))
    }
    return models.sorted { $0.name < $1.name }
  }

  /// The place of a file in a split model, by its name `NAME-00001-of-00003.gguf`.
  private struct Part {
    let name: String
    let index: Int
    let count: Int

    init?(_ path: String) {
      let stem = path.dropLast(5)
      let words = stem.split(separator: "-", omittingEmptySubsequences: false)
      guard words.count >= 4, words[words.count - 2] == "of",
        let index = Self.number(words[words.count - 3]), let count = Self.number(words[words.count - 1]),
        (1...count).contains(index)
      else { return nil }
      name = words.dropLast(3).joined(separator: "-")
      self.index = index
      self.count = count
    }

    private static func number(_ digits: Substring) -> Int? {
      digits.utf8.count == 5 ? Int(digits).flatMap { (1...9999).contains($0) ? $0 : nil } : nil
    }
  }

  /// The last word of a name that is a quantisation, with the `UD` that may stand before it.
  private static func quantization(in name: String) -> String? {
    let words = name.uppercased().split { $0 == "-" || $0 == "." }
    for (index, word) in words.enumerated().reversed() {
      if let label = label(word) { return index > 0 && words[index - 1] == "UD" ? "UD-" + label : label }
    }
    return nil
  }

  /// A word that is a quantisation, or ends in one after an underscore, as in `MISTRAL_7B_Q4_K_M`.
  private static func label(_ word: Substring) -> String? {
    var rest = word
    while true {
      if isLabel(rest) { return String(rest) }
      guard let underscore = rest.firstIndex(of: "_") else { return nil }
      rest = rest[rest.index(after: underscore)...]
    }
  }

  private static func isLabel(_ word: Substring) -> Bool {
    if ["F32", "FP32", "F16", "FP16", "BF16", "F64"].contains(word) { return true }
    for prefix in ["IQ", "TQ", "MXFP", "NVFP", "Q"] where word.hasPrefix(prefix) {
      let rest = word.dropFirst(prefix.count)
      return rest.first?.isASCII == true && rest.first?.isNumber == true
        && rest.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    }
    return false
  }
}

/// Which files of a repository a name asks for. Pure: decided from the listing alone.
enum ModelSelection: Sendable {
  /// A GGUF model, and the quantisation by which it is known from here on.
  case gguf(GGUFModel, quantization: String)
  /// A Hugging Face directory; the index, where there is one, names further files.
  case directory([RepositoryFile], index: RepositoryFile?)

  /// What a directory's weights are called where a quantisation would stand.
  static let directoryName = "safetensors"
  /// What is taken where nothing is asked for, the first that is there; llama.cpp's users know this order.
  static let preferred = ["Q4_K_M", "Q4_0"]

  private static let config = "config.json"
  private static let weights = "model.safetensors"
  private static let index = "model.safetensors.index.json"
  private static let companions = [
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
  ]

  /// Chooses by the quantisation asked for: the one that file names tell, else a file's name, else a word of one.
  ///
  /// - Throws: `HubError` with all that exists, where nothing or more than one thing fits.
  static func choose(
    _ quantization: String?, among files: [RepositoryFile], repository: String
  ) throws(HubError) -> ModelSelection {
    let models = GGUFModel.models(among: files)
    let directory = directory(files)
    if let directory, quantization.map({ $0.lowercased() == directoryName }) ?? models.isEmpty { return directory }
    guard !models.isEmpty else {
      guard directory != nil else { throw HubError(.nothingToRun(repository: repository)) }
      throw HubError(.noQuantization(quantization, repository: repository, known: [directoryName]))
    }
    let names = uniqueNames(models)
    let known = models.map { names[$0] ?? $0.name } + (directory == nil ? [] : [directoryName])
    var fitting: [GGUFModel] = []
    for wanted in quantization.map({ [$0] }) ?? preferred where fitting.isEmpty { fitting = models.fitting(wanted) }
    if fitting.isEmpty, quantization == nil { fitting = [models[0]] }
    guard let chosen = fitting.first else {
      throw HubError(.noQuantization(quantization, repository: repository, known: known))
    }
    guard fitting.count == 1 else {
      throw HubError(.ambiguous(quantization, repository: repository, known: fitting.map { names[$0] ?? $0.name }))
    }
    guard chosen.isWhole else {
      let reason = "\(chosen.name).gguf has \(chosen.parts.count) of its \(chosen.count) parts"
      throw HubError(.badListing(repository: repository, reason: reason))
    }
    return .gguf(chosen, quantization: names[chosen] ?? chosen.name)
  }

  /// All shards that an index names, each once and in order.
  ///
  /// - Throws: `HubError` where the repository has no such file.
  static func shards(
    _ names: [String], among files: [RepositoryFile], repository: String
  ) throws(HubError) -> [RepositoryFile] {
    var shards: [RepositoryFile] = []
    for name in Set(names).sorted() {
      guard let file = files.first(where: { $0.path == name }) else {
        throw HubError(.noFile(name, repository: repository))
      }
      shards.append(file)
    }
    return shards
  }

  /// The quantisation where only one model has it, else the name of the file.
  static func uniqueNames(_ models: [GGUFModel]) -> [GGUFModel: String] {
    let counts = Dictionary(grouping: models, by: \.label).mapValues(\.count)
    return Dictionary(models.map { ($0, counts[$0.label] == 1 ? $0.label : $0.name) }) { first, _ in first }
  }

  static func directory(_ files: [RepositoryFile]) -> ModelSelection? {
    let named = Dictionary(files.map { ($0.path, $0) }) { first, _ in first }
    guard let config = named[config] else { return nil }
    let first = [config] + companions.compactMap { named[$0] }
    // Where both are there, the whole file is what is read.
    if let weights = named[weights] { return .directory(first + [weights], index: nil) }
    return named[index].map { .directory(first + [$0], index: $0) }
  }
}

extension [GGUFModel] {
  fileprivate func fitting(_ wanted: String) -> [GGUFModel] {
    let wanted = wanted.lowercased()
    let bare = wanted.hasSuffix(".gguf") ? String(wanted.dropLast(5)) : wanted
    let rules: [(GGUFModel) -> Bool] = [
      { $0.label.lowercased() == wanted },
      { $0.name.lowercased() == bare || $0.parts[0].path.lowercased() == wanted },
      { RepositoryPath.name($0.name).lowercased() == bare },
      { Self.hasWord(wanted, in: $0.name.lowercased()) },
    ]
    for rule in rules {
      let fitting = filter(rule)
      if !fitting.isEmpty { return fitting }
    }
    return []
  }

  /// Whether a text stands in a name with no letter, digit or underscore at either side: `Q4_K` is no word of `Q4_K_M`.
  private static func hasWord(_ word: String, in name: String) -> Bool {
    let (word, name) = ([UInt8](word.utf8)[...], [UInt8](name.utf8))
    guard name.count >= word.count else { return false }
    for start in 0...(name.count - word.count) {
      let end = start + word.count
      guard name[start..<end] == word else { continue }
      if !isPartOfWord(name[..<start].last), !isPartOfWord(name[end...].first) { return true }
    }
    return false
  }

  private static func isPartOfWord(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): return true
    default: return byte >= 0x80
    }
  }
}

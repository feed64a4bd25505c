import ModelJSON

/// The folder of pulled models: `OWNER/REPO/` has a repository's files under their own names, `pulled.json` in `.sluice/`
/// beside them what is whole, and `.sluice/partial/` what is still arriving.
package struct ModelStore: Sendable {
  package let directory: String

  package init(directory: String) { self.directory = directory }

  func folder(_ name: ModelName) -> String { directory + "/" + name.repositoryName }
  static func partials(_ folder: String) -> String { folder + "/.sluice/partial" }
  private static func recordPath(_ folder: String) -> String { folder + "/.sluice/pulled.json" }

  /// What was pulled of a repository; none where nothing was or the record is damaged, so that a pull mends it.
  func records(_ name: ModelName) -> [PullRecord] {
    guard let bytes = try? StoredFile.contents(of: Self.recordPath(folder(name)), limit: 16 << 20),
      let json = try? JSONValue(parsing: bytes), json["version"]?.integer == 1
    else { return [] }
    return (json["models"]?.array ?? []).compactMap { PullRecord($0) }
  }

  func write(_ records: [PullRecord], of name: ModelName) throws(HubError) {
    let json: JSONValue = ["version": 1, "models": .array(records.map(\.json))]
    let folder = folder(name)
    try StoredFile.makeFolder(folder + "/.sluice")
    try StoredFile.replace(Self.recordPath(folder), with: Array((json.text + "\n").utf8))
  }

  /// The record that a name means: by its quantisation, or the default, or the only one.
  static func record(_ quantization: String?, among records: [PullRecord]) -> PullRecord? {
    if let quantization { return records.first { $0.quantization.lowercased() == quantization.lowercased() } }
    return records.first(where: \.isDefault) ?? (records.count == 1 ? records[0] : nil)
  }

  /// A pulled model by name, from this folder or Hugging Face's cache.
  ///
  /// - Throws: `HubError` where it is not there, or only in part.
  package func model(_ name: ModelName, cache: HuggingFaceCache) throws(HubError) -> PulledModel {
    let records = records(name)
    let folder = folder(name)
    if let record = try resolve(name, records) {
      guard record.isComplete(in: folder) else { throw HubError(.incomplete(name.description)) }
      return model(record, of: name)
    }
    if let model = cache.model(name) { return model }
    throw HubError(
      StoredFile.names(in: Self.partials(folder)).isEmpty ? .notPulled(name.description) : .incomplete(name.description)
    )
  }

  /// The record that a name means; words of file names count too, as they do when a model is pulled.
  ///
  /// - Throws: `HubError` where words fit several models that are here.
  func resolve(_ name: ModelName, _ records: [PullRecord]) throws(HubError) -> PullRecord? {
    if let record = Self.record(name.quantization, among: records) { return record }
    do throws(HubError) {
      let files = records.flatMap(\.files)
      let selection = try ModelSelection.choose(name.quantization, among: files, repository: name.repositoryName)
      guard case .gguf(let model, _) = selection else { return nil }
      return records.first { $0.files.first?.path == model.parts.first?.path }
    } catch {
      if case .ambiguous = error.code { throw error }
      return nil
    }
  }

  func model(_ record: PullRecord, of name: ModelName) -> PulledModel {
    PulledModel(
      name: name.repositoryName + ":" + record.quantization, path: record.path(in: folder(name)), size: record.size,
      place: .pulled)
  }

  /// All models of this folder, by name: what was put there as a file, then what was pulled.
  package func models() -> [PulledModel] {
    var models: [PulledModel] = []
    for owner in StoredFile.names(in: directory) where !owner.hasPrefix(".") {
      let path = directory + "/" + owner
      if owner.hasSuffix(".gguf"), let size = StoredFile.size(path) {
        models.append(PulledModel(name: String(owner.dropLast(5)), path: path, size: size, place: .file))
      }
      guard StoredFile.isFolder(path) else { continue }
      for repository in StoredFile.names(in: path) {
        guard let name = ModelName(owner + "/" + repository) else { continue }
        models += records(name).filter { $0.isComplete(in: folder(name)) }.map { model($0, of: name) }
      }
    }
    return models
  }
}

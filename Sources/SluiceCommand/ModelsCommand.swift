import ArgumentParser
import Engine
import Evaluation
import Foundation
import ModelHub
import ModelJSON

struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the models that are here, and whether they fit.",
    discussion:
      "Lists what 'sluice pull' fetched, files in the models' folder, and whole models in Hugging Face's cache. "
      + "A model fits if its weights are smaller than this machine's memory; 'sluice inspect' adds what a cache takes.")

  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  func run() {
    let store = ModelLocator.store()
    let memory = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let models = store.models() + HuggingFaceCache(environment: ProcessInfo.processInfo.environment).models()
    if json {
      let list = models.map { $0.json(merging: [("fits", .bool($0.size < memory))]) }
      let object: JSONValue = [
        "folder": JSONValue(store.directory), "memory": JSONValue(memory), "models": .array(list),
      ]
      StandardOutput.write(object.text + "\n")
      return
    }
    guard !models.isEmpty else {
      StandardError.write("sluice: there are no models in \(store.directory); 'sluice pull OWNER/REPO' brings one\n")
      return
    }
    var table = TextTable([.init("model"), .init("size", .trailing), .init("memory"), .init("place")])
    for model in models {
      table.append([
        model.name, HumanReadable.bytes(model.size), model.size < memory ? "fits" : "does not fit", model.place.text,
      ])
    }
    StandardOutput.write(table.text)
    StandardOutput.write("this machine has \(HumanReadable.bytes(memory)) of memory\n")
  }
}

extension PulledModel.Place {
  fileprivate var text: String {
    switch self {
    case .pulled: "pulled"
    case .file: "file"
    case .huggingFaceCache: "Hugging Face's cache"
    }
  }
}

extension PulledModel {
  /// The model as `--json` prints it, with further members at its end.
  func json(merging members: [(String, JSONValue)]) -> JSONValue {
    var object = JSONObject()
    object["name"] = JSONValue(name)
    object["path"] = JSONValue(path)
    object["bytes"] = JSONValue(size)
    object["place"] = JSONValue(place.rawValue)
    for (key, value) in members { object[key] = value }
    return .object(object)
  }
}

import ArgumentParser
import Engine
import Foundation
import ModelHub

struct RemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm",
    abstract: "Remove a model that was pulled.",
    discussion: """
      OWNER/REPO removes all that was pulled of a repository, OWNER/REPO:QUANT one quantisation, and the name of a GGUF \
      file in the models' folder that file. Of repositories only files that a pull brought are touched; Hugging Face's \
      cache is not.
      """)

  @Argument(help: ArgumentHelp("A name as 'sluice models' lists it.", valueName: "model"))
  var models: [String]

  func run() throws {
    let cache = HuggingFaceCache(environment: ProcessInfo.processInfo.environment)
    for model in models {
      let removal = try ModelLocator.store().remove(model, cache: cache)
      let names = removal.names.joined(separator: ", ")
      StandardOutput.write("removed \(names), \(HumanReadable.bytes(removal.bytes))\n")
    }
  }
}

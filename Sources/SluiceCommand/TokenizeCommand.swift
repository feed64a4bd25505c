import ArgumentParser
import Engine
import Foundation
import ModelJSON
import Tokenizers

struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Show the tokens of a text.",
    discussion: "The text is -p, -f FILE (- is standard input), or standard input. No begin-of-sequence token is added."
  )

  @Option(name: [.short, .long], help: "A GGUF file, a Hugging Face directory, or the name of a fetched model.")
  var model: String?
  @Option(name: [.short, .long], help: "The text.")
  var prompt: String?
  @Option(name: [.short, .long], help: "A file with the text; - is standard input.")
  var file: String?
  @Flag(name: .long, help: "Let special tokens written in the text act as such.")
  var special = false
  @Flag(name: .long, help: "Print one array of ids.")
  var json = false

  func validate() throws {
    guard prompt == nil || file == nil else { throw ValidationError("give either --prompt or --file, not both") }
  }

  func run() throws {
    let source = try prompt.map { TextSource(text: $0) } ?? TextSource(path: file ?? "-")
    let tokenizer = try LanguageModel.tokenizer(of: model)
    StandardError.warn(tokenizer.warnings)
    var encoder = IncrementalEncoder(tokenizer, special: special ? .parse : .plainText)
    var isFirst = true
    let show = { (ids: [Int32]) in
      var text = ""
      for id in ids {
        if json {
          text += isFirst ? "\(id)" : ", \(id)"
        } else {
          text += "\(id)\t\(JSONValue(tokenizer.token(id)).text)\n"
        }
        isFirst = false
      }
      StandardOutput.write(text)
    }
    if json { StandardOutput.write("[") }
    try source.forEachPiece { bytes in
      show(encoder.append(bytes))
      return true
    }
    show(encoder.finish())
    if json { StandardOutput.write("]\n") }
  }
}

import Foundation
import Sluice

/// Streams an answer from bounded memory: `StreamText [MODEL [PROMPT]]`, with the default model where none is named.
@main
struct StreamText {
  static func main() async {
    let arguments = CommandLine.arguments.dropFirst()
    let prompt = arguments.dropFirst().first ?? "Why does a river keep flowing?"
    do {
      let model = try await LanguageModel(arguments.first)
      let session = LanguageModelSession(
        model: model,
        cache: KVCache.Plan {
          Sinks(4); Window(1020)
        })
      let options = GenerationOptions(maximumResponseTokens: 100)
      for try await text in session.streamResponse(to: prompt, options: options) {
        print(text, terminator: "")
        fflush(nil)
      }
      print()
    } catch {
      print(error)  // One line: what is wrong, or how to get the default model.
    }
  }
}

import ArgumentParser
import Engine
import Foundation
import ModelHub
import ModelJSON

struct PullCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Fetch a model from a hub, once.",
    discussion: """
      MODEL is OWNER/REPO, or OWNER/REPO:QUANT where QUANT is what the names of GGUF files tell (Q8_0, q4_k_m), a file's \
      name, or 'safetensors' for a Hugging Face directory. Without it the GGUF file in Q4_K_M comes, else in Q4_0, else \
      the first; where there is none, the directory. From then on 'sluice run -m OWNER/REPO' runs it.

      A pull that was cut goes on where it was when it is given again; one that is here asks the hub nothing. The path of \
      the model is printed. HF_TOKEN opens gated models, HF_ENDPOINT names another hub; models lie in SLUICE_MODELS, or \
      else below SLUICE_CACHE or ~/.cache/sluice.
      """)

  @Argument(help: ArgumentHelp("OWNER/REPO or OWNER/REPO:QUANT.", valueName: "model"))
  var model: String
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The hub's address; HF_ENDPOINT or \(HubAccess.standardEndpoint) without it.", valueName: "url"))
  var endpoint: String?
  @Option(name: .long, help: "A branch, a tag or a commit.")
  var revision = "main"
  @Flag(name: .long, help: "Ask the hub for a newer commit, whatever is here.")
  var refresh = false
  @Flag(name: .long, help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard ModelName(model) != nil else {
      throw ValidationError("'\(model)' is no name of a model on a hub; write OWNER/REPO or OWNER/REPO:QUANT")
    }
    guard !revision.isEmpty, revision.utf8.count <= 255 else {
      throw ValidationError("--revision must have from 1 to 255 bytes")
    }
  }

  func run() throws {
    guard let name = ModelName(model) else { throw CommandError("'\(model)' is no name of a model on a hub") }
    let environment = ProcessInfo.processInfo.environment
    Interruption.watchOnce()
    let client = HubClient(
      access: try HubAccess(endpoint: endpoint, environment: environment),
      transport: CurlTransport(certificates: certificates(environment)) { Interruption.hasCome }
    ) { seconds throws(HubError) in try Interruption.wait(seconds: seconds) }
    let pull = ModelPull(
      store: ModelLocator.store(), cache: HuggingFaceCache(environment: environment), client: client)
    var progress = PullProgress()
    do throws(HubError) {
      let result = try pull.run(name, revision: revision, refresh: refresh) { progress.show($0) }
      progress.finish()
      report(result)
    } catch {
      progress.clear()
      guard error.isInterruption else { throw error }
      StandardError.write("sluice: \(error)\n")
      throw ExitCode(130)
    }
  }

  private func report(_ result: ModelPull.Result) {
    let model = result.model
    if json {
      StandardOutput.write(model.json(merging: [("wasHere", .bool(result.wasHere))]).text + "\n")
      return
    }
    let size = HumanReadable.bytes(model.size)
    StandardError.write("sluice: \(model.name), \(size), \(result.wasHere ? "was here already" : "is here now")\n")
    StandardOutput.write(model.path + "\n")
  }

  /// Certificates that the user trusts, by the variables that curl and OpenSSL know.
  private func certificates(_ environment: [String: String]) -> String? {
    ["CURL_CA_BUNDLE", "SSL_CERT_FILE"].compactMap { environment[$0] }.first { !$0.isEmpty }
  }
}

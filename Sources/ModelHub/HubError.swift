/// Why a model could not be fetched, found or removed. What was fetched stays: the same command goes on from there.
package struct HubError: Error, Sendable, Hashable {
  enum Code: Sendable, Hashable {
    case badName(String)
    case badEndpoint(String)
    case badToken
    case tokenWithoutTLS(endpoint: String)
    case noLibrary
    case unreachable(host: String, reason: String)
    case broken(host: String, reason: String)
    case failed(host: String, reason: String)
    case interrupted
    case badRedirect(host: String, reason: String)
    case unauthorised(repository: String, hasToken: Bool)
    case noRepository(String, hasToken: Bool)
    case noRevision(String, repository: String)
    case noFile(String, repository: String)
    case busy(host: String, status: Int, seconds: Int?)
    case status(Int, host: String)
    case badListing(repository: String, reason: String)
    case unsafePath(String, repository: String)
    case nothingToRun(repository: String)
    case noQuantization(String?, repository: String, known: [String])
    case ambiguous(String?, repository: String, known: [String])
    case length(file: String, expected: Int, reason: String)
    case digest(file: String, expected: String, found: String)
    case noRoom(folder: String, needed: Int, free: Int)
    case file(String, reason: String)
    case locked(repository: String)
    case notPulled(String)
    case notHere(String)
    case incomplete(String)
    case elsewhere(String, path: String)
  }

  let code: Code

  init(_ code: Code) { self.code = code }

  /// The user stopped it.
  package static let interruption = HubError(.interrupted)

  /// Whether the user stopped it.
  package var isInterruption: Bool { code == .interrupted }

  /// Whether asking once more may help: the hub was busy or the connection was cut.
  var isPassing: Bool {
    switch code {
    case .broken, .busy: true
    default: false
    }
  }

  /// How long the hub asked to be left alone.
  var waitSeconds: Int? {
    if case .busy(_, _, let seconds) = code { seconds } else { nil }
  }
}

extension HubError: CustomStringConvertible {
  package var description: String {
    switch code {
    case .badName(let name):
      "'\(name)' is no name of a model on a hub; write OWNER/REPO or OWNER/REPO:QUANT, as in "
        + "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M"
    case .badEndpoint(let endpoint): "'\(endpoint)' is no address of a hub; write https://HOST or http://HOST:PORT"
    case .badToken: "HF_TOKEN holds something that is no access token"
    case .tokenWithoutTLS(let endpoint):
      "HF_TOKEN is not sent to \(endpoint), where others can read it; use https or unset it"
    case .noLibrary: "libcurl is not on this machine and 'sluice pull' needs it; install it (apt install libcurl4)"
    case .unreachable(let host, let reason): "\(host) cannot be reached: \(reason)"
    case .broken(let host, let reason): "the connection to \(host) broke: \(reason); the same command goes on from here"
    case .failed(let host, let reason): "the request to \(host) failed: \(reason)"
    case .interrupted: "stopped; the same command goes on from here"
    case .badRedirect(let host, let reason): "\(host) redirects \(reason)"
    case .unauthorised(let repository, let hasToken):
      hasToken
        ? "\(repository) is not open to the account of this token; ask for access on its page"
        : "\(repository) is gated or private; ask for access on its page and set HF_TOKEN to a token of yours"
    case .noRepository(let repository, let hasToken):
      "there is no repository \(repository)" + (hasToken ? "" : ", or it is private and needs HF_TOKEN")
    case .noRevision(let revision, let repository): "\(repository) has no revision '\(revision)'"
    case .noFile(let file, let repository): "\(repository) lists \(file) but does not have it"
    case .busy(let host, let status, let seconds):
      "\(host) is busy (status \(status))"
        + (seconds.map { " and asks to wait \($0) seconds" } ?? "") + "; the same command goes on from here"
    case .status(let status, let host): "\(host) answered with status \(status)"
    case .badListing(let repository, let reason): "the hub's listing of \(repository) cannot be read: \(reason)"
    case .unsafePath(let path, let repository):
      "\(repository) names a file '\(path)', which is no name that is written here; nothing was fetched"
    case .nothingToRun(let repository):
      "\(repository) has neither GGUF files nor config.json with safetensors, so there is nothing to run"
    case .noQuantization(let asked, let repository, let known):
      "\(repository) has no \(asked ?? "GGUF"); it has \(Self.list(known))"
    case .ambiguous(let asked, let repository, let known):
      "\(asked.map { "'\($0)'" } ?? "the name") fits several files of \(repository); name one of \(Self.list(known))"
    case .length(let file, let expected, let reason): "\(file) should have \(expected) bytes, but \(reason)"
    case .digest(let file, let expected, let found):
      "\(file) arrived with the digest \(found) instead of \(expected) and was removed; the same command reads it anew"
    case .noRoom(let folder, let needed, let free):
      "\(needed) more bytes are needed and the disk of \(folder) has \(free) free"
    case .file(let path, let reason): "\(path): \(reason)"
    case .locked(let repository): "\(repository) is being pulled or removed by another process"
    case .notPulled(let name):
      "no model at '\(name)', and none of that name was pulled; 'sluice pull \(name)' gets it from the hub"
    case .notHere(let name): "there is no pulled model '\(name)'; 'sluice models' lists all"
    case .incomplete(let name): "\(name) is here in part only; 'sluice pull \(name)' brings the rest"
    case .elsewhere(let name, let path):
      "\(name) is in Hugging Face's cache, which is not Sluice's to change; remove it there (\(path))"
    }
  }

  private static func list(_ names: [String]) -> String {
    let shown = names.prefix(40)
    guard !shown.isEmpty else { return "none" }
    return shown.joined(separator: ", ") + (names.count > shown.count ? " and \(names.count - shown.count) more" : "")
  }
}

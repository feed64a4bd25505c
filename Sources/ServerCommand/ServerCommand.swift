import ArgumentParser
import Dispatch
import Engine
import Foundation
import KVCaches
import Logging
import Server
import SessionRedis
import SessionStore

/// The command `sluice-serve`, which `sluice serve` starts.
@main
struct ServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice serve",
    abstract: "Serve a model by the APIs of OpenAI and Anthropic.",
    discussion: """
      Every conversation can go on without end: what is remembered of it is a cache of bounded size (--cache). Only this
      machine can connect unless --host says otherwise; give --api-key then.

      Every option can also stand in a file (--config) as 'port = 8080', or in the environment as SLUICE_SERVE_PORT; the
      command line counts most, then the environment.
      """)

  @Option(name: [.short, .long], help: "A GGUF file, a Hugging Face directory, or a pulled model.")
  var model: String?
  @Option(name: .long, help: "The address to listen on.")
  var host = "127.0.0.1"
  @Option(name: .long, help: "The port to listen on.")
  var port = 8080
  @Option(name: .long, help: "A key that clients must show; may be given several times. Keys share no memory.")
  var apiKey: [String] = []
  @Option(name: .long, help: "Another name for the model; may be given several times.")
  var alias: [String] = []
  @Option(
    name: .long,
    help: "What is remembered where a request does not say: a preset, stages or auto:BYTES; see 'sluice run --help'.")
  var cache: String?
  @Option(
    name: .long,
    help:
      "The number format of stored keys and values: f32, f16, bf16, q8_0, or q8_0/q4_1 for values of 4 bits; f16 without it."
  )
  var cacheType: String?
  @Option(name: .long, help: "MiB of all conversations' memories together.")
  var cacheMemory = 2048
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Guess tokens that repeat the text and check several in one step: auto, off, or up to so many.",
      valueName: "auto|off|N"))
  var speculate = "auto"
  @Option(name: .long, help: "A file in which sessions outlive the server; made where it is not there.")
  var sessionStore: String?
  @Option(
    name: .long,
    help: ArgumentHelp("A Redis or Valkey server in place of a file, for several servers.", valueName: "host:port"))
  var sessionRedis: String?
  @Option(name: .long, help: "A file of 32 bytes with which stored sessions are sealed (AES-GCM); a store has one key.")
  var sessionKey: String?
  @Option(name: .long, help: "MiB of stored sessions in memory, above the file.")
  var sessionMemory = 1024
  @Option(name: .long, help: "MiB of stored sessions in the file.")
  var sessionDisk = 10240
  @Option(name: .long, help: "Hours after its last use at which a stored session may go; never without it.")
  var sessionLifetime: Int?
  @Option(
    name: .long,
    help: "MiB of stored conversations to which no request gave a name; they go after a day. 0 stores none.")
  var sessionUnnamed = 2048
  @Option(name: .long, help: "Requests that are computed together.")
  var parallel = 32
  @Option(name: .long, help: "Requests that may wait; more are told to come again.")
  var queue = 256
  @Option(name: [.short, .long], help: "Threads that compute; all CPUs without it.")
  var threads: Int?
  @Option(name: .long, help: "A file of options, a line each: 'name = value'; api-key and alias may repeat.")
  var config: String?
  @Option(name: .long, help: "How events are written to standard error: text, logfmt or json.")
  var logFormat = "text"
  @Option(name: .long, help: "The least events that are written: debug, info, notice, warning or error.")
  var logLevel = "info"

  func validate() throws {
    guard (0...65535).contains(port) else { throw ValidationError("--port must be from 0 to 65535, but is \(port)") }
    guard (1...1024).contains(parallel) else { throw ValidationError("--parallel must be from 1 to 1024") }
    guard (1...65536).contains(queue) else { throw ValidationError("--queue must be from 1 to 65536") }
    guard (1...(1 << 24)).contains(cacheMemory) else { throw ValidationError("--cache-memory must be 1 MiB or more") }
    guard (0...(1 << 24)).contains(sessionMemory), (1...(1 << 24)).contains(sessionDisk) else {
      throw ValidationError("--session-memory must be 0 MiB or more, --session-disk 1 MiB or more")
    }
    guard (0...(1 << 24)).contains(sessionUnnamed) else {
      throw ValidationError("--session-unnamed must be 0 MiB or more, but is \(sessionUnnamed)")
    }
    if let sessionLifetime, !(1...1_000_000).contains(sessionLifetime) {
      throw ValidationError("--session-lifetime must be from 1 to 1000000 hours, but is \(sessionLifetime)")
    }
    guard sessionStore == nil || sessionRedis == nil else {
      throw ValidationError("give either --session-store or --session-redis, not both")
    }
    if let sessionRedis, Self.address(sessionRedis) == nil {
      throw ValidationError("--session-redis must be HOST:PORT, but is '\(sessionRedis)'")
    }
    guard
      sessionStore != nil || sessionRedis != nil
        || sessionMemory == 1024 && sessionDisk == 10240 && sessionLifetime == nil && sessionUnnamed == 2048
          && sessionKey == nil
    else {
      throw ValidationError(
        "--session-key, --session-memory, --session-disk, --session-lifetime and --session-unnamed need --session-store "
          + "or --session-redis")
    }
    guard !apiKey.contains("") else { throw ValidationError("--api-key needs a key, but is empty") }
    guard LineLogHandler.Format(rawValue: logFormat) != nil else {
      throw ValidationError("--log-format must be text, logfmt or json")
    }
    guard Logger.Level(rawValue: logLevel) != nil else {
      throw ValidationError("--log-level must be debug, info, notice, warning or error")
    }
    guard Speculation(argument: speculate) != nil else {
      throw ValidationError(
        "--speculate must be auto, off, or a number from 1 to \(Speculation.largestCount), but is '\(speculate)'")
    }
    if let cacheType, KVCache.SlotType(rawValue: cacheType) == nil {
      let known = KVCache.SlotType.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("'\(cacheType)' is no type of stored keys and values; known are \(known)")
    }
  }

  /// Errors become one line and a hint, as those of `sluice`: exit status 1 for bad input, 2 for bad usage.
  static func main() async {
    // A client that goes away shows as an error of writing.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parse(arguments())
      try await command.run()
    } catch {
      Foundation.exit(report(error))
    }
  }

  /// The arguments with those of the file and the environment before them.
  private static func arguments() throws -> [String] {
    let settings = try ServerSettings(
      commandLine: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment
    ) { path in
      do {
        return try String(contentsOfFile: path, encoding: .utf8)
      } catch {
        throw ServerSettings.Failure(description: "the file \(path) cannot be read")
      }
    }
    // Each place is checked by itself, so that a message can say where something wrong stands.
    for layer in settings.layers {
      guard let origin = layer.origin else { continue }
      do {
        _ = try parse(layer.arguments)
      } catch {
        throw ServerSettings.Failure(description: "\(origin): \(message(for: error))")
      }
    }
    return settings.arguments
  }

  private static func report(_ error: any Error) -> Int32 {
    if let failure = error as? ServerSettings.Failure {
      say("\(failure)\nhint: see 'sluice serve --help'")
      return 2
    }
    switch exitCode(for: error) {
    case .success:
      FileHandle.standardOutput.write(Data((fullMessage(for: error) + "\n").utf8))
      return 0
    case .validationFailure:
      let line = fullMessage(for: error).split(separator: "\n").first ?? "bad usage"
      say("\(line.hasPrefix("Error: ") ? line.dropFirst(7) : line)\nhint: see 'sluice serve --help'")
      return 2
    default:
      say("\(error)")
      return 1
    }
  }

  mutating func run() async throws {
    var options = SluiceServer.Options()
    (options.host, options.port, options.keys, options.aliases) = (host, port, apiKey, alias)
    options.cache = try cache.map { try CacheRequest($0) }
    options.slotType = cacheType.flatMap { KVCache.SlotType(rawValue: $0) }
    options.speculation = Speculation(argument: speculate) ?? .automatic
    options.memoryBytes = cacheMemory << 20
    (options.parallel, options.queue) = (parallel, queue)
    let (format, level) = (LineLogHandler.Format(rawValue: logFormat), Logger.Level(rawValue: logLevel))
    let logger = Logger(label: "sluice") { _ in
      LineLogHandler(format ?? .text, level: level ?? .info) { Self.write($0) }
    }
    options.logger = logger
    options.sessions = try openSessions(logger)
    let path = try ModelLocator.path(of: model)
    let loaded = try LanguageModel.Loaded(path: path, options: LanguageModel.Options(threads: threads, chunk: 256))
    for notice in loaded.notices { logger.notice("\(notice)") }
    // Waiting for signals must begin before anybody is told that the server is there.
    let signals = Self.signals()
    let server = try await SluiceServer(loaded, name: Self.name(of: model ?? path), options: options)
    logger.notice("listening on http://\(host.contains(":") ? "[\(host)]" : host):\(server.port)/v1")
    if !["127.0.0.1", "localhost", "::1"].contains(host), apiKey.isEmpty {
      logger.warning("anybody who reaches \(host) can use this server; --api-key asks for a key")
    }
    for await _ in signals { break }
    logger.notice("stopping")
    await server.stop()
    logger.notice("stopped")
  }

  /// Where sessions outlive the server; nil where they do not.
  private func openSessions(_ logger: Logger) throws -> SessionStore? {
    var limits = SessionStore.Options()
    (limits.memoryBytes, limits.diskBytes) = (sessionMemory << 20, sessionDisk << 20)
    limits.unnamedBytes = sessionUnnamed << 20
    limits.lifetime = sessionLifetime.map { Int64($0) * 3600 }
    limits.key = try sessionKey.map { try SessionKey(contentsOf: $0) }
    if let (host, port) = sessionRedis.flatMap(Self.address) {
      return try SessionStore(
        over: RedisTier(host: host, port: port, byteLimit: limits.diskBytes), options: limits)
    }
    guard let sessionStore else { return nil }
    let store = try SessionStore(path: sessionStore, options: limits)
    if let notice = store.notice { logger.warning("\(notice)") }
    return store
  }

  /// `host:port`, also with an IPv6 address in brackets.
  private static func address(_ text: String) -> (host: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65535).contains(port)
    else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return host.isEmpty ? nil : (String(host), port)
  }

  /// The name of a pulled model, or of a file without its extension.
  private static func name(of model: String) -> String {
    guard model.hasPrefix("/") || model.hasSuffix(".gguf") else { return model }
    let file = URL(fileURLWithPath: model)
    return file.pathExtension == "gguf" ? file.deletingPathExtension().lastPathComponent : file.lastPathComponent
  }

  /// SIGTERM and SIGINT, one after another.
  private static func signals() -> AsyncStream<Int32> {
    AsyncStream { continuation in
      let sources = [SIGTERM, SIGINT].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler { continuation.yield(number) }
        source.resume()
        return source
      }
      nonisolated(unsafe) let kept = sources
      continuation.onTermination = { _ in kept.forEach { $0.cancel() } }
    }
  }

  private static func say(_ line: String) { write("sluice: \(line)") }
  private static func write(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}

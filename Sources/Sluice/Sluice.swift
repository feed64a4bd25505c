/// Everything a program needs to run language models over endless streams in bounded memory.
///
/// ```swift
/// import Sluice
///
/// let model = try await LanguageModel()
/// let session = LanguageModelSession(model: model, cache: KVCache.Plan { Sinks(4); Window(1020) })
/// for try await text in session.streamResponse(to: "Tell me a story.") { print(text, terminator: "") }
/// ```
@_exported public import Engine
@_exported public import KVCaches
@_exported public import SessionStore

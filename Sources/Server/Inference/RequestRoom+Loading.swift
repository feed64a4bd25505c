import Engine
import Models
import SessionStore

/// A request whose memory is on its way from the store.
struct LoadingRequest {
  let job: GenerationJob
  let memory: StoredMemories.Loading
}

/// Requests of stored sessions: they take their place, and begin to compute once they will not wait for layers.
extension RequestRoom {
  /// What computing takes for a request.
  func terms(of request: GenerationRequest) -> LoadTerms {
    var terms = LoadTerms()
    let (estimates, prompt) = (estimates, request.promptTokens.count)
    let (layers, chunk) = (engine.model.configuration.layers.count, engine.chunk)
    // Beside others a prompt gets fewer rows a step, about so many.
    let most = running.isEmpty ? chunk : min(chunk, 32)
    terms.computing = { tokens in
      let new = max(1, prompt - Int(tokens))
      let again = max(1, min(prompt, Int(tokens)))
      return LoadTerms.Computing(
        layerSeconds: estimates.seconds(rows: min(new, most)).map { $0 / Double(layers) },
        againSeconds: estimates.seconds(reading: again, rowsAStep: most))
    }
    terms.notify = wake
    return terms
  }

  /// Has those requests begin whose memories have come far enough, or will not come.
  func beginLoaded() {
    guard let stored, !loading.isEmpty else { return }
    let ready = loading.filter(\.memory.load.isReady)
    guard !ready.isEmpty else { return }
    loading.removeAll { request in ready.contains { $0.job === request.job } }
    for request in ready {
      let found = stored.finish(request.memory, for: request.job.request)
      if found.match.symbols == 0, request.memory.earlier == nil,
        let other = stored.beginOther(
          request.job.request, instead: found.use.miss, into: found.memory, vocabulary: engine.vocabularySize,
          terms: terms(of: request.job.request))
      {
        loading.append(LoadingRequest(job: request.job, memory: other))
        continue
      }
      // What is stored may be of no use where another conversation's memory is.
      if found.match.symbols == 0, let (memory, match) = held.take(for: request.job.request) {
        start(request.job, StoredMemories.Found(memory: memory, match: match, use: .hit(0, from: "active")))
      } else {
        start(request.job, found)
      }
    }
    makeRoom()
  }

  /// Looks whether the rest of a request's memory has come.
  ///
  /// - Parameter hasComputed: whether a step has gone through all of its layers, and waited for them
  /// - Returns: false where it has not, and the prompt is read again.
  @discardableResult
  func settleLoad(of job: GenerationJob, hasComputed: Bool = false) -> Bool {
    guard job.isLoading else { return true }
    let isRight = job.settleLoad(hasComputed: hasComputed)
    if !job.isLoading { noteStart(job) }
    return isRight
  }

  /// Tells the store which sessions will be asked for.
  func tellQueue() {
    guard let stored, queueHasChanged else { return }
    queueHasChanged = false
    let busy = (running + loading.map(\.job)).compactMap(\.request.storedSession)
    stored.archive.store.expect(waiting.compactMap(\.request.storedSession), running: busy)
  }

  /// When a load has to be looked at again; nil where none is under way.
  var nextDeadline: ContinuousClock.Instant? { loading.compactMap(\.memory.load.latest).min() }
}

import ModelJSON

/// `/health` and `/metrics`: from counters alone, so they answer at once whatever the model does.
extension Routes {
  func health() throws -> HTTPResponse {
    guard !scheduler.status.isDraining else { throw RequestError.stopped }
    return .json(["status": "ok"])
  }

  /// In Prometheus' text format.
  func metrics() -> HTTPResponse {
    let counters = scheduler.status.counters
    let values: [(name: String, kind: String, help: String, value: String)] = [
      ("requests_running", "gauge", "Requests that are computed together now.", "\(counters.running)"),
      ("requests_waiting", "gauge", "Requests in the queue.", "\(counters.waiting)"),
      ("memories_held", "gauge", "Memories that wait for the next request.", "\(counters.held)"),
      ("memory_running_bytes", "gauge", "Bytes of the memories in use.", "\(counters.runningBytes)"),
      ("memory_held_bytes", "gauge", "Bytes of the memories that wait.", "\(counters.heldBytes)"),
      ("memory_limit_bytes", "gauge", "Bytes that all memories may take.", "\(model.memoryBytes)"),
      ("prompt_tokens_total", "counter", "Tokens of prompts.", "\(counters.promptTokens)"),
      (
        "prompt_tokens_cached_total", "counter", "Tokens of prompts that had been read before.",
        "\(counters.cachedTokens)"
      ),
      ("answer_tokens_total", "counter", "Tokens of answers.", "\(counters.answerTokens)"),
      ("guesses_total", "counter", "Next tokens that were guessed.", "\(counters.guesses.tried)"),
      (
        "guesses_confirmed_total", "counter", "Guesses that the model agreed with.", "\(counters.guesses.confirmed)"
      ),
      ("steps_total", "counter", "Passes through the model.", "\(counters.steps)"),
      ("step_seconds_total", "counter", "Seconds of these passes.", "\(counters.stepSeconds)"),
      ("requests_finished_total", "counter", "Requests that were answered.", "\(counters.finished)"),
      ("requests_cancelled_total", "counter", "Requests whose clients went away.", "\(counters.cancelled)"),
      ("requests_failed_total", "counter", "Requests that ended with an error.", "\(counters.failed)"),
      ("requests_refused_total", "counter", "Requests that found the queue full.", "\(counters.refused)"),
    ]
    var text = ""
    for (name, kind, help, value) in values {
      text += "# HELP sluice_\(name) \(help)\n# TYPE sluice_\(name) \(kind)\nsluice_\(name) \(value)\n"
    }
    return .text(text, type: "text/plain; version=0.0.4")
  }
}

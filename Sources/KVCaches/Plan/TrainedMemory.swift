/// What a model was trained to remember with, as its files declare it: where a specification leaves it open, presets take it
/// from here.
package struct TrainedMemory: Sendable, Hashable {
  /// Segments with a compressive memory behind them (Infini-attention, arXiv 2404.07143).
  package struct Segments: Sendable, Hashable {
    /// Tokens of a segment.
    package var size: Int
    package var memory: Compressive

    /// - Precondition: `size` is at least 1.
    package init(size: Int, memory: Compressive = Compressive()) {
      precondition(size >= 1, "a segment holds at least one token")
      (self.size, self.memory) = (size, memory)
    }

    /// The plan of a model that was trained with them.
    package var plan: KVCache.Plan { KVCache.Plan(stages: [Segment(size), memory]) }
  }

  /// Nil where the model was trained without.
  package var segments: Segments?
  /// Tokens that began every training text to take up surplus attention (arXiv 2309.17453, section 3.3); nil where the
  /// model has made sinks of whatever came first.
  package var sinks: Int?

  package init(segments: Segments? = nil, sinks: Int? = nil) {
    (self.segments, self.sinks) = (segments, sinks)
  }

  /// The sinks of a preset that is not told how many.
  package var usualSinks: Int { sinks ?? 4 }

  /// What remembers a stream of any length in at most `budget` tokens: the model's own memory, or sinks and a window.
  package func streamingPlan(budget: Int) -> KVCache.Plan {
    segments?.plan
      ?? KVCache.Plan {
        Sinks(usualSinks); Window(max(1, budget - usualSinks))
      }
  }
}

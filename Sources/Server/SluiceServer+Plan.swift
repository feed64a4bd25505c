package import Engine
package import KVCaches
import Models

/// What a command line says of the cache.
extension SluiceServer {
  /// Throws what is wrong with a specification for every model, so that it is said before one is loaded.
  package static func check(_ specification: String) throws(KVCacheError) {
    let anything = TrainedMemory(segments: TrainedMemory.Segments(size: 1))
    _ = try KVCache.Plan(specification, resolver: .none.model(anything))
  }

  /// The plan of a specification, where presets leave something open that of the model.
  ///
  /// - Throws: `KVCacheError` that quotes the specification.
  package static func plan(
    _ specification: String, of loaded: LanguageModel.Loaded
  ) throws(KVCacheError) -> KVCache.Plan {
    try KVCache.Plan(specification, resolver: .none.model(loaded.engine.model.configuration.memory))
  }
}

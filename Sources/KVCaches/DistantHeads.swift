/// Keeps heads of one sequence that its cache does not store, in other processes.
///
/// Counters do not depend on what is stored, so the cache decides as always; what happens between two steps is passed on
/// here, in order. What fails shows as `failure` until the cache is reset.
package protocol DistantHeads: AnyObject {
  /// Bytes held elsewhere.
  func bytes(of cache: KVCache) -> Int

  /// Why what is kept elsewhere is not to be used; nil while all is well.
  var failure: KVCacheError? { get }

  /// Whether the sequence can be read again after a failure.
  var isRecoverable: Bool { get }

  /// Forgets everything, a failure too.
  func reset()

  /// Ends the prompt, and has the cache take up the counters of where its tokens were chosen among.
  func endPrompt(of cache: KVCache)

  /// Takes back the newest tokens, of whole steps where the cache says so.
  func rollBack(tokens: Int)

  /// Has what steps overwrite be noted.
  func keepUndoLog(depth: Int, ofSingleTokens: Bool)
}

extension KVCache {
  /// The counters of all groups, as sections hold them.
  package func counters() -> [[UInt8]] {
    groups.indices.map {
      var writer = SectionWriter()
      write(.counters(ofGroup: $0), to: &writer)
      return writer.bytes
    }
  }

  /// Takes up the counters of a cache of the same plan that stores the heads which this one does not.
  ///
  /// - Precondition: the cache stores no head.
  /// - Throws: `KVCacheError` where they are impossible.
  package func takeUp(counters: [[UInt8]]) throws(KVCacheError) {
    precondition(heads == .none, "counters without what they count")
    guard counters.count == groups.count else { throw .badSnapshot("it has counters of \(counters.count) groups") }
    for (group, bytes) in zip(groups, counters) {
      let result: Result<Void, KVCacheError> = bytes.withUnsafeBytes { bytes in
        Result { () throws(KVCacheError) in try group.adoptCounters(bytes) }
      }
      try result.get()
    }
  }
}

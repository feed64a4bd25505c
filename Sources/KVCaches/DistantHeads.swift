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

  /// Says that the sequence will not be had again.
  func giveUp(_ reason: String)

  // Snapshots: sections are those of a cache that stores all heads, whoever keeps which.

  /// All sections but those of recurrent states, counters first.
  ///
  /// - Parameter tokens: since when they can have changed; -1 for all
  /// - Throws: `KVCacheError` where they cannot be had; `failure` says whether what is kept is lost too.
  func sections(of cache: KVCache, changedSince tokens: Int64) throws(KVCacheError) -> [SectionListing]

  /// The bytes of a section that was listed last.
  func read(_ name: SectionName) throws(KVCacheError) -> [UInt8]

  /// Has the heads become what was saved, of which counters come first.
  ///
  /// - Parameters:
  ///   - payload: bytes of all other sections, which bound what the counters can claim
  ///   - keptTokens: up to which token what is still kept is what was saved, and need not come again; 0 for none
  /// - Returns: the sections that have to come.
  func beginRestoring(
    _ cache: KVCache, counters: [UnsafeRawBufferPointer], payload: Int, keptTokens: Int64
  ) throws(KVCacheError) -> Set<SectionName>

  /// Takes up a section that has to come.
  func restore(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws(KVCacheError)

  /// Has the heads be what came.
  func endRestoring() throws(KVCacheError)
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

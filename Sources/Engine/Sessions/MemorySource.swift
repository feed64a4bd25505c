package import KVCaches

/// Where what a sequence remembers is saved, for the case that whoever keeps it is lost.
package protocol MemorySource: AnyObject {
  /// Tokens of the newest save with which a memory's stream still begins; 0 where there is none.
  func savedTokens(of memory: KVCache) -> Int64

  /// Has a memory that was lost be what was saved of it.
  ///
  /// - Returns: false where it cannot; the memory is then to be reset.
  func restore(_ memory: KVCache) -> Bool
}

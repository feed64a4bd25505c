import KVCaches
import Testing

@testable import SessionStore

/// A cache that is saved to a store again and again.
struct StoredCache {
  let store: SessionStore
  let key: ItemKey
  /// What is known to be stored.
  var manifest: Manifest?

  static let fingerprint = Fingerprint(model: "m", tokenizer: "t", cache: "c")

  init(_ store: SessionStore, name: String = "a", tenant: String = "") {
    (self.store, key) = (store, ItemKey(tenant: tenant, name: name))
  }

  /// Saves what the cache is now, and waits for it.
  ///
  /// - Returns: what was written
  @discardableResult
  mutating func save(_ cache: KVCache, records: [String: [UInt8]] = [:]) throws -> ItemChange {
    var capture = ItemCapture(
      key,
      Manifest(
        fingerprint: Self.fingerprint, plan: "\(cache.plan)", slotType: cache.slotType.rawValue, modelName: "tiny",
        tokens: cache.tokenCount, created: store.now(), saved: store.now()), previous: manifest, hash: store.pageHash)
    for (name, bytes) in records.sorted(by: { $0.key < $1.key }) {
      bytes.withUnsafeBytes { capture.write(.record(name), $0) }
    }
    try capture.take(cache)
    cache.noteSaved()
    let change = capture.change()
    let result = Outcome()
    store.save(change) { result.set($0) }
    store.flush()
    do {
      try result.value?.get()
      manifest = change.manifest
    } catch {
      manifest = nil
      throw error
    }
    return change
  }

  /// The item as it is found.
  func found() throws -> FoundItem { try store.find(key, for: Self.fingerprint).get() }

  /// Why the item is not found.
  func miss() -> Miss? {
    switch store.find(key, for: Self.fingerprint) {
    case .success: nil
    case .failure(let miss): miss
    }
  }
}

/// What a save came to; written by the store's thread before it is read.
final class Outcome: @unchecked Sendable {
  private(set) var value: Result<Void, TierError>?
  func set(_ result: Result<Void, TierError>) { value = result }
}

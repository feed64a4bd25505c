/// A session as a list shows it.
public struct StoredSession: Sendable, Hashable {
  public let name: String
  /// The model that it belongs to, and what is remembered under which plan in which number format.
  public let model: String
  public let plan: String
  public let slotType: String
  /// Tokens of its stream that went through the model.
  public let tokens: Int
  /// Bytes that it takes in the store.
  public let bytes: Int
  /// When it was first saved, saved last and used last, in seconds since 1970.
  public let created: Int64
  public let saved: Int64
  public let used: Int64
  public let isPinned: Bool
}

/// What users do with stored sessions. All of these wait for the disk.
extension SessionStore {
  /// The sessions of a tenant, those used last first.
  public func sessions(of tenant: String = "") throws -> [StoredSession] {
    flush()
    removeExpired()
    return try base.items().reversed().filter { $0.key.tenant == tenant }.map { session($0) }
  }

  /// One session; nil where it is not there.
  public func session(named name: String, of tenant: String = "") throws -> StoredSession? {
    flush()
    return try base.item(ItemKey(tenant: tenant, name: name)).map { session($0) }
  }

  private func session(_ item: TierItem) -> StoredSession {
    var manifest: Manifest?
    // One that cannot be read is listed, so that it can be removed.
    if case .some(let bytes) = try? base.manifest(of: item.key) {
      manifest = try? Manifest(readable: bytes)
    }
    return StoredSession(
      name: item.key.name, model: manifest?.modelName ?? "?", plan: manifest?.plan ?? "?",
      slotType: manifest?.slotType ?? "?", tokens: Int(manifest?.tokens ?? 0), bytes: item.bytes,
      created: manifest?.created ?? item.saved, saved: item.saved, used: item.used, isPinned: item.isPinned)
  }

  /// Removes a session.
  ///
  /// - Returns: whether it was there.
  @discardableResult
  public func remove(_ name: String, of tenant: String = "") throws -> Bool {
    flush()
    let key = ItemKey(tenant: tenant, name: name)
    guard try base.item(key) != nil else { return false }
    if hasDisk { pool.remove(key, because: .removed) }
    try base.remove(key, because: .removed)
    return true
  }

  /// Copies a session, which goes on under both names; replaces one of the new name.
  ///
  /// - Returns: whether it was there.
  @discardableResult
  public func fork(_ name: String, as other: String, of tenant: String = "") throws -> Bool {
    flush()
    let (key, copy) = (ItemKey(tenant: tenant, name: name), ItemKey(tenant: tenant, name: other))
    guard let item = try base.item(key) else { return false }
    guard key != copy else { return true }
    guard try base.bytes() + item.bytes <= base.byteLimit else { throw TierError.full }
    if hasDisk { pool.remove(copy, because: .removed) }
    try base.copy(key, to: copy, at: now())
    return true
  }

  /// Pins a session, or lets it go again: a pinned one makes room for no other and does not expire.
  ///
  /// - Returns: whether it was there.
  @discardableResult
  public func setPinned(_ isPinned: Bool, _ name: String, of tenant: String = "") throws -> Bool {
    flush()
    let key = ItemKey(tenant: tenant, name: name)
    guard try base.item(key) != nil else { return false }
    if hasDisk { pool.setPinned(isPinned, key) }
    try base.setPinned(isPinned, key)
    return true
  }
}

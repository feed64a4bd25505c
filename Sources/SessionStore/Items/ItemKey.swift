/// Which item of a store: whose it is, and under which name.
package struct ItemKey: Sendable, Hashable {
  /// Whose it is; tenants see nothing of each other.
  package let tenant: String
  package let name: String

  package init(tenant: String = "", name: String) { (self.tenant, self.name) = (tenant, name) }

  /// An item to which no user gave the name: it makes room before any that has one.
  package static func unnamed(_ name: String, of tenant: String) -> ItemKey {
    ItemKey(tenant: unnamed + tenant, name: name)
  }

  package var isUnnamed: Bool { tenant.hasPrefix(Self.unnamed) }

  /// Whose it is, whether it has a name or not: items of one owner share what they have in common.
  package var owner: String { isUnnamed ? String(tenant.dropFirst(Self.unnamed.count)) : tenant }

  private static let unnamed = "unnamed:"
}

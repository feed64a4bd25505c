/// Which item of a store: whose it is, and under which name.
package struct ItemKey: Sendable, Hashable {
  /// Whose it is; tenants see nothing of each other.
  package let tenant: String
  package let name: String

  package init(tenant: String = "", name: String) { (self.tenant, self.name) = (tenant, name) }
}

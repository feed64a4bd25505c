/// What the names in a cache specification stand for: to parse one reads the specification and nothing else, so who parses
/// it says what a name means.
///
/// ```swift
/// let masks = try ["heads.tsv": HeadMask(text: text, name: "heads.tsv")]
/// let resolver = PlanResolver { name throws(KVCacheError) in
///   guard let mask = masks[name] else { throw .badSpecification("heads=\(name)", "is not known") }
///   return mask
/// }
/// let plan = try KVCache.Plan("duo-attention:16+240[heads=heads.tsv]", resolver: resolver)
/// ```
///
/// A program that takes specifications from strangers need not do anything: names are refused without a resolver.
public struct PlanResolver: Sendable {
  /// Turns the word behind `heads=` of `duo-attention` into the mask it names.
  let heads: @Sendable (String) throws(KVCacheError) -> HeadMask

  /// What the model declares that the plan is for.
  private(set) var trained = TrainedMemory()

  /// - Parameter heads: turns the word behind `heads=` into the mask it names, or throws a line that says why it does not.
  public init(heads: @escaping @Sendable (String) throws(KVCacheError) -> HeadMask) { self.heads = heads }

  /// The same, for a model that declares what it was trained to remember with.
  package func model(_ trained: TrainedMemory) -> PlanResolver {
    var resolver = self
    resolver.trained = trained
    return resolver
  }

  /// Refuses every name.
  public static let none = PlanResolver { name throws(KVCacheError) in
    throw .badSpecification("heads=\(name)", "names a file, which is not read here")
  }
}

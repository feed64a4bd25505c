package import Constraints
package import ModelJSON
import Synchronization

/// What an answer must be, whatever thoughts may stand in front of it; made once and shared by all answers.
package final class AnswerConstraint: Sendable, Hashable {
  private let part: Constraint.Part
  private let compiled: Mutex<[AnswerLead: Constraint]>

  /// - Throws: `ConstraintError` where it cannot be kept.
  package init(_ part: Constraint.Part) throws(ConstraintError) {
    self.part = part
    compiled = Mutex([.none: try Constraint(part)])
  }

  /// One JSON document.
  package convenience init(documentOf schema: JSONValue) throws(ConstraintError) {
    try self.init(.sequence([.space, .json(schema)]))
  }

  /// The constraint of an answer with what may stand in front.
  package func constraint(behind lead: AnswerLead) throws(ConstraintError) -> Constraint {
    if let known = compiled.withLock({ $0[lead] }) { return known }
    let made = try Constraint(lead.part(before: part))
    return compiled.withLock { compiled in
      // Another thread may have been faster; tables know a constraint by its identity.
      if let known = compiled[lead] { return known }
      compiled[lead] = made
      return made
    }
  }

  package static func == (a: AnswerConstraint, b: AnswerConstraint) -> Bool { a === b }
  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Constraints of schemas that were asked for lately, by the schema's text.
package final class AnswerConstraintCache: Sendable {
  private struct Entry {
    let constraint: AnswerConstraint
    var lastUse: UInt64
  }

  private struct State {
    var entries: [String: Entry] = [:]
    var clock: UInt64 = 0
  }

  private let state = Mutex(State())
  private let limit: Int

  package init(limit: Int = 16) { self.limit = limit }

  /// The constraint of one document of a schema.
  ///
  /// - Throws: `ConstraintError` where the schema cannot be kept.
  package func document(of schema: JSONValue) throws(ConstraintError) -> AnswerConstraint {
    try constraint(named: schema.text) { () throws(ConstraintError) in try AnswerConstraint(documentOf: schema) }
  }

  /// The constraint of a name, made where it is not known.
  package func constraint(
    named name: String, _ make: () throws(ConstraintError) -> AnswerConstraint
  ) throws(ConstraintError) -> AnswerConstraint {
    let known = state.withLock { state -> AnswerConstraint? in
      state.clock += 1
      state.entries[name]?.lastUse = state.clock
      return state.entries[name]?.constraint
    }
    if let known { return known }
    let made = try make()
    return state.withLock { state in
      if let known = state.entries[name] { return known.constraint }
      state.entries[name] = Entry(constraint: made, lastUse: state.clock)
      if state.entries.count > limit, let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
        state.entries[oldest.key] = nil
      }
      return made
    }
  }
}

package import ModelJSON

/// What all experiments found, and where.
package struct ReproductionReport: Sendable {
  package struct Part: Sendable {
    package let system: PublishedSystem
    package let experiment: Experiment
    package let outcome: Laboratory.Outcome

    package init(system: PublishedSystem, experiment: Experiment, outcome: Laboratory.Outcome) {
      self.system = system
      self.experiment = experiment
      self.outcome = outcome
    }
  }

  /// The program, model and machine, a line each, as a reader needs them to measure again.
  package let origin: [(name: String, value: String)]
  package private(set) var parts: [Part] = []

  package init(origin: [(name: String, value: String)]) { self.origin = origin }

  package mutating func append(_ part: Part) { parts.append(part) }

  var rows: [HeadlineRow] {
    parts.flatMap { part -> [HeadlineRow] in
      guard case .found(let findings, _) = part.outcome else { return [] }
      return findings.rows
    }
  }

  /// How many headlines had a verdict.
  package func count(_ verdict: Verdict) -> Int { rows.count { $0.verdict == verdict } }

  /// Whether a command failed.
  package var hasFailures: Bool {
    parts.contains { if case .failed = $0.outcome { true } else { false } }
  }

  /// Why an experiment has no rows; nil where it has.
  static func absence(_ outcome: Laboratory.Outcome) -> String? {
    switch outcome {
    case .found: nil
    case .needs(let needs): "not run: give " + needs.map(\.option).joined(separator: " and ")
    case .failed(let error): "failed: \(error)"
    }
  }

  /// All of it as one object.
  package var json: JSONValue {
    var origin = JSONObject()
    for (name, value) in self.origin { origin[name] = JSONValue(value) }
    return [
      "origin": .object(origin),
      "experiments": .array(parts.map(Self.json)),
      "unmeasured": .array(
        PublishedSystem.allCases.filter { system in parts.contains { $0.system == system } }.flatMap { system in
          system.unmeasured.map {
            [
              "system": JSONValue(system.name), "headline": JSONValue($0.headline), "reason": JSONValue($0.reason),
            ] as JSONValue
          }
        }),
    ]
  }

  private static func json(_ part: Part) -> JSONValue {
    var object = JSONObject()
    object["system"] = JSONValue(part.system.name)
    object["experiment"] = JSONValue(part.experiment.name)
    object["paper"] = JSONValue("arXiv " + part.system.paper)
    object["claim"] = JSONValue(part.experiment.claim)
    object["differences"] = JSONValue(part.experiment.differences)
    if let absence = absence(part.outcome) { object["absence"] = JSONValue(absence) }
    if case .found(let findings, let results) = part.outcome {
      object["rows"] = .array(findings.rows.map(json))
      object["commands"] = .array(
        results.map {
          ["command": JSONValue($0.run.text), "seconds": JSONValue($0.seconds), "lines": .array($0.lines)]
        })
    }
    return .object(object)
  }

  private static func json(_ row: HeadlineRow) -> JSONValue {
    [
      "headline": JSONValue(row.headline), "published": JSONValue(row.published), "measured": JSONValue(row.measured),
      "ratio": row.ratio.map { JSONValue($0) } ?? .null, "verdict": JSONValue(row.verdict.rawValue),
      "reason": JSONValue(row.reason),
    ]
  }
}

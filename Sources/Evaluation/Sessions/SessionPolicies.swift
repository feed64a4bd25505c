package import ModelJSON
package import SessionStore

/// Policies and sizes of tiers side by side, simulated on one trace.
package struct SessionPolicies: Sendable {
  package struct Row: Sendable {
    /// Nil where everything is read again.
    package let policy: LookAhead<Int>.Policy?
    package let memoryBytes, diskBytes: Double
    package let result: SessionSimulation.Result

    package var name: String { policy?.rawValue ?? "recompute" }
  }

  package let trace: ConversationTrace
  package let costs: ServingCosts
  package let memoryBytes: Double
  package let disks: [Double]
  /// The share of turns at the beginning that are not counted, in which the store fills: the paper's 10K of 52K.
  package static let warmShare = 10.0 / 52

  package init(_ trace: ConversationTrace, _ costs: ServingCosts, memoryBytes: Double, disks: [Double]) {
    (self.trace, self.costs, self.memoryBytes, self.disks) = (trace, costs, memoryBytes, disks)
  }

  /// The row without a store first, then every policy for every size.
  package func rows(_ body: (Row) -> Void = { _ in }) -> [Row] {
    let pairs: [(LookAhead<Int>.Policy?, Double)] =
      [(nil, 0)] + disks.flatMap { disk in LookAhead<Int>.Policy.allCases.map { ($0, disk) } }
    return pairs.map { policy, disk in
      var options = SessionSimulation.Options(costs: costs, policy: policy)
      (options.memoryBytes, options.diskBytes) = (policy == nil ? 0 : memoryBytes, disk)
      options.warmTurns = Int(Double(trace.turns) * Self.warmShare)
      let row = Row(
        policy: policy, memoryBytes: options.memoryBytes, diskBytes: disk,
        result: SessionSimulation.run(trace, options))
      body(row)
      return row
    }
  }

  /// Hit rates and times to the first token over the size of the disk.
  package static func plot(_ rows: [Row], costs: ServingCosts) -> Plot {
    func lines(_ value: (SessionSimulation.Result) -> Double) -> [Plot.Line] {
      LookAhead<Int>.Policy.allCases.map { policy in
        Plot.Line(
          policy.rawValue, rows.filter { $0.policy == policy }.map { Plot.Point($0.diskBytes, value($0.result)) })
      }
    }
    let again = rows.first { $0.policy == nil }?.result.meanFirstToken ?? 0
    return Plot(
      title: "Kept sessions by policy and size of the disk, simulated",
      subtitle: "\(costs.name), first tokens after \(Int((again * 1000).rounded())) ms when everything is read again",
      xAxis: Plot.Axis("disk", scale: .logarithmic, unit: .bytes),
      panels: [
        Plot.Panel(
          axis: Plot.Axis("hits of returning turns", range: 0...1), lines: lines(\.hitRate), height: 170),
        Plot.Panel(
          axis: Plot.Axis("of them from memory", range: 0...1), lines: lines(\.memoryShare), height: 120),
        Plot.Panel(
          axis: Plot.Axis("seconds to the first token", includesZero: true), lines: lines(\.meanFirstToken),
          height: 170),
      ])
  }
}

extension SessionPolicies.Row {
  package var json: JSONValue {
    [
      "policy": .string(name), "memoryBytes": .number(memoryBytes), "diskBytes": .number(diskBytes),
      "turns": JSONValue(result.turns), "returning": JSONValue(result.returning), "hits": JSONValue(result.hits),
      "memoryHits": JSONValue(result.memoryHits), "hitRate": .number(result.hitRate),
      "firstTokenSeconds": .number(result.meanFirstToken), "waitingSeconds": .number(result.meanWaiting),
      "prefillTokensPerSecond": .number(result.prefillRate), "busySeconds": .number(result.busySeconds),
    ]
  }
}

extension LoadingMeasurement.Row {
  package var json: JSONValue {
    [
      "lead": JSONValue(lead), "requestSeconds": .number(request.measured),
      "requestPredicted": .number(request.predicted), "modelSeconds": .number(model.measured),
      "modelPredicted": .number(model.predicted),
    ]
  }
}

extension LoadingMeasurement {
  /// Seconds over the lead, as predicted for every lead and as measured for some.
  package func plot(_ subtitle: String) -> Plot {
    let loads = [Double](repeating: loadSeconds / Double(layers), count: layers)
    let predicted = (1...max(1, layers)).map { lead -> (Double, Double, Double) in
      let replay = LayerLead.replay(
        loadSeconds: loads, computeSeconds: computeSeconds / Double(layers), lead: lead)
      return (Double(lead), replay.end, replay.end - loads.prefix(lead).reduce(0, +))
    }
    func panel(
      _ title: String, _ prediction: ((Double, Double, Double)) -> Double, _ value: (Row) -> Double
    ) -> Plot.Panel {
      Plot.Panel(
        axis: Plot.Axis(title, includesZero: true),
        lines: [
          Plot.Line("predicted", predicted.map { Plot.Point($0.0, prediction($0)) }),
          Plot.Line("measured", rows.map { Plot.Point(Double($0.lead), value($0)) }),
        ], height: 170)
    }
    return Plot(
      title: "Layers read ahead from a slow tier", subtitle: subtitle,
      xAxis: Plot.Axis("layers there when computing begins"),
      panels: [
        panel("seconds from the request", \.1, \.request.measured),
        panel("seconds of the model", \.2, \.model.measured),
      ], markers: [Plot.Marker(x: Double(ruleLead), label: "rule")])
  }
}

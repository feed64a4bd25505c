import SessionStore
import Testing

@testable import Evaluation

/// Traces of conversations, and tiers and queues simulated on them.
@Suite struct SessionSimulationTests {
  @Test func `a trace has the shape of ShareGPT, and a seed gives it again`() {
    var options = ConversationTrace.Options()
    options.conversations = 20_000
    let trace = ConversationTrace(options)
    let count = Double(options.conversations)
    #expect(abs(Double(trace.turns) / count - 5.75) < 0.1)
    let several = trace.conversations.count { $0.turns.count > 1 }
    #expect(abs(Double(several) / count - 0.73) < 0.01)
    let long = trace.conversations.count { $0.turns.reduce(0) { $0 + $1.question + $1.answer } > 4096 }
    #expect(abs(Double(long) / count - 0.30) < 0.02)
    let last = trace.conversations.last?.arrival ?? 0
    #expect(abs(last / count - 1) < 0.05)
    #expect(ConversationTrace(options).conversations == trace.conversations)
    options.seed = 2
    #expect(ConversationTrace(options).conversations != trace.conversations)
  }

  private func run(
    _ policy: LookAhead<Int>.Policy?, memory: Double, disk: Double, rate: Double = 2
  ) -> SessionSimulation.Result {
    var options = ConversationTrace.Options()
    (options.conversations, options.rate) = (150, rate)
    var costs = ServingCosts.paper[2]
    costs.batch = 16
    var simulation = SessionSimulation.Options(costs: costs, policy: policy)
    (simulation.memoryBytes, simulation.diskBytes) = (memory, disk)
    return SessionSimulation.run(ConversationTrace(options), simulation)
  }

  @Test func `all turns are served, with any policy and any room`() {
    let again = run(nil, memory: 0, disk: 0)
    #expect(again.hits == 0 && again.returning > 300 && again.turns > again.returning)
    for policy in LookAhead<Int>.Policy.allCases {
      let (none, all) = (run(policy, memory: 1, disk: 1), run(policy, memory: 1e15, disk: 1e15))
      for result in [none, all] {
        #expect(result.turns == again.turns && result.returning == again.returning)
        #expect(result.promptTokens == again.promptTokens)
      }
      #expect(none.hits == 0 && abs(none.meanFirstToken - again.meanFirstToken) < 1e-9)
      #expect(all.hitRate > 0.98 && all.memoryShare == 1 && all.meanFirstToken < again.meanFirstToken / 2)
      #expect(all.busySeconds < again.busySeconds)
    }
  }

  @Test func `under load the queue knows better than the order of use`() {
    // Room for a part of the sessions only.
    let results = LookAhead<Int>.Policy.allCases.map { ($0, run($0, memory: 8e9, disk: 40e9, rate: 10)) }
    let rates = Dictionary(uniqueKeysWithValues: results.map { ($0.0, $0.1.hitRate) })
    let shares = Dictionary(uniqueKeysWithValues: results.map { ($0.0, $0.1.memoryShare) })
    #expect((rates[.queueAware] ?? 0) > (rates[.leastRecentlyUsed] ?? 1))
    #expect((rates[.queueAware] ?? 0) > (rates[.firstInFirstOut] ?? 1))
    #expect((shares[.queueAware] ?? 0) > (shares[.leastRecentlyUsed] ?? 1))
  }

  @Test func `events come in order of time`() {
    var heap = EarliestFirst<Int>()
    let moments = [5.0, 1, 4, 1, 3, 9, 0, 2, 6, 5, 3, 5]
    for (index, moment) in moments.enumerated() { heap.insert(index, at: moment) }
    var seen: [Double] = []
    while let next = heap.removeFirst() { seen.append(moments[next]) }
    #expect(seen == moments.sorted() && heap.earliest == nil)
  }
}

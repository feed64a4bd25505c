import Testing

@testable import Simulation

/// Cells under requests that come at random, against queueing theory.
struct FleetRunTests {
  private let single = RequestTrace(name: "single", prompt: 1, output: 1, spread: .fixed)
  private let mixed = RequestTrace(name: "mixed", prompt: 100, output: 20)

  private func server(_ seconds: Double, capacity: Int = 1_000_000) -> Pipeline {
    Pipeline(times: FixedTimes(modelSeconds: seconds / 2, attentionSeconds: seconds / 2), layers: 1, capacity: capacity)
  }

  private func options(_ arrivals: Double, cells: Int = 1, seconds: Double = 1000) -> FleetRun.Options {
    var options = FleetRun.Options()
    options.cells = cells
    options.arrivalsPerSecond = arrivals
    options.seconds = seconds
    return options
  }

  @Test(arguments: [0.3, 0.7]) func `one server that takes one at a time waits as M|D|1 does`(load: Double) {
    var options = options(load, seconds: 200_000)
    options.mostBatchOfCell = 1
    options.warmUp = 1000
    let run = FleetRun(server(1), single, options: options)
    let expected = load / (2 * (1 - load))
    #expect(abs(run.waiting.mean / expected - 1) < 0.05, "\(run.waiting.mean) in place of \(expected)")
    #expect(abs(run.meanRunning - load) < 0.01)
    #expect(abs(run.tokensPerSecond - load) < 0.01)
    // P(no wait) is 1 - load.
    #expect(run.waiting.quantile((1 - load) * 0.98) < 1e-6 && run.waiting.quantile((1 - load) * 1.05) > 1e-6)
  }

  @Test(arguments: [(1, 4.0), (5, 30.0)]) func `requests there are arrivals times residence`(
    cells: Int, arrivals: Double
  ) {
    var options = options(arrivals, cells: cells, seconds: 4000)
    options.mostBatchOfCell = 8
    let run = FleetRun(server(0.05), mixed, options: options)
    let present = run.meanRunning + run.meanWaiting
    #expect(abs(present / (arrivals * run.residence.mean) - 1) < 0.03)
    #expect(abs(run.meanWaiting - arrivals * run.waiting.mean) < 0.03 * present)
  }

  @Test(arguments: [0, 1, 2, 3]) func `nobody is lost, whatever fails`(seed: UInt64) {
    var options = options(40, cells: 4, seconds: 500)
    options.seed = seed
    options.mostBatchOfCell = 16
    options.failureSeconds = 400
    options.memoryMachines = 2
    options.rebuildSecondsPerToken = 0.001
    let run = FleetRun(server(0.05, capacity: 900), mixed, options: options)
    #expect(run.arrived > 15_000 && run.failures > 5 && run.refused > 0)
    #expect(run.presentAtStart + run.arrived - run.refused == run.finished + run.presentAtEnd)
    #expect(run.availability < 1 && run.availability > 0.5)
    #expect(run == FleetRun(server(0.05, capacity: 900), mixed, options: options))
    options.seed += 100
    #expect(run != FleetRun(server(0.05, capacity: 900), mixed, options: options))
  }

  @Test func `a failure costs what it takes to notice, replace and rebuild`() {
    var options = options(10, cells: 10, seconds: 20_000)
    options.failureSeconds = 5000
    options.replacementSeconds = 4
    let run = FleetRun(server(0.1), mixed, options: options)
    // Each of the machines is away for 4.3 s of every 5000.
    let (away, failures) = (4.3 / 5000, 10.0 * 20_000 / 5000)
    #expect(abs((1 - run.availability) / away - 1) < 0.4, "\(run.availability), \(run.failures) failures")
    #expect(abs(Double(run.failures) / failures - 1) < 0.4)
    // A token takes a step, or a step and a failure.
    #expect(abs(run.tokenSeconds.quantile(0.5) / 0.1 - 1) < 0.01)
    #expect(abs(run.tokenSeconds.quantile(1) / 4.4 - 1) < 0.04)
    options.failureSeconds = .infinity
    let quiet = FleetRun(server(0.1), mixed, options: options)
    #expect(quiet.failures == 0 && quiet.availability == 1 && quiet.tokenSeconds.quantile(1) < 0.102)
    // Failures leave arrivals alone.
    #expect(quiet.arrived == run.arrived)
  }

  @Test func `keys and values that are lost take time for every token`() {
    var options = options(5, cells: 2, seconds: 5000)
    options.failureSeconds = 2000
    (options.modelMachines, options.memoryMachines) = (1, 1)
    options.replacementSeconds = 1
    let quick = FleetRun(server(0.05), mixed, options: options)
    options.rebuildSecondsPerToken = 0.01
    let slow = FleetRun(server(0.05), mixed, options: options)
    #expect(slow.failures == quick.failures && slow.availability < quick.availability)
  }
}

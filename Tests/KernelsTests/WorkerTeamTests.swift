import Foundation
import Kernels
import Synchronization
import TestSupport
import Testing

@Suite struct WorkerTeamTests {
  @Test(arguments: [1, 2, 3, 7])
  func everyIndexRunsOnce(threads: Int) throws {
    let team = try WorkerTeam(threads: threads)
    #expect(team.threads == threads)
    for count in [0, 1, 2, 3, 7, 8, 100] {
      let seen = Buffer<Int32>(count: count)
      let calls = Atomic(0)
      team.parallelFor(count) { range in
        calls.add(1, ordering: .relaxed)
        for index in range { seen[index] += 1 }
      }
      #expect(seen.elements.allSatisfy { $0 == 1 })
      #expect(calls.load(ordering: .relaxed) <= min(threads, count))
    }
  }

  @Test func manyQuickJoinsLoseNothing() throws {
    for threads in [2, 4] {
      let team = try WorkerTeam(threads: threads)
      let sums = Buffer<Int>(count: threads * 8)
      let joins = 3000
      for join in 0..<joins {
        team.parallelFor(threads) { range in for index in range { sums[index * 8] += join } }
      }
      for thread in 0..<threads { #expect(sums[thread * 8] == joins * (joins - 1) / 2) }
    }
  }

  @Test func joinsAfterASleepStillWork() throws {
    let team = try WorkerTeam(threads: 2)
    for _ in 0..<5 {
      let done = Atomic(0)
      team.parallelFor(2) { done.add($0.count, ordering: .relaxed) }
      #expect(done.load(ordering: .relaxed) == 2)
      Thread.sleep(forTimeInterval: 0.002)
    }
  }

  @Test func nestedRunsDoTheirWorkOnTheCallingThread() throws {
    let team = try WorkerTeam(threads: 3)
    let total = Atomic(0)
    team.parallelFor(6) { outer in
      for _ in outer { team.parallelFor(10) { total.add($0.count, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 60)
  }

  @Test func aTeamInsideAnotherTeamWorks() throws {
    let outer = try WorkerTeam(threads: 2)
    let inner = try WorkerTeam(threads: 2)
    let total = Atomic(0)
    outer.parallelFor(4) { range in
      for _ in range { inner.parallelFor(5) { total.add($0.count, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 20)
  }

  @Test func callersOnDifferentThreadsTakeTurns() throws {
    let team = try WorkerTeam(threads: 2)
    let total = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<50 { team.parallelFor(4) { total.add($0.count, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 8 * 50 * 4)
  }

  @Test func teamsComeAndGo() throws {
    for threads in [1, 2, 5] {
      for _ in 0..<20 {
        let team = try WorkerTeam(threads: threads)
        let done = Atomic(0)
        team.parallelFor(threads) { done.add($0.count, ordering: .relaxed) }
        #expect(done.load(ordering: .relaxed) == threads)
      }
    }
    _ = try WorkerTeam(threads: 4)
  }

  @Test func theProcessKnowsItsSize() {
    #expect(WorkerTeam.availableCPUs >= 1)
    #expect(residentBytes() > 1 << 20)
  }
}

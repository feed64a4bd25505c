package import KVCaches
package import Kernels
import Synchronization

/// Attention by other processes: queries go out as soon as they are there, keys and values when they are ready, and what comes
/// back is put together, partials by log-sum-exp.
///
/// Each sequence has a cache here that counts and stores no head; recurrent states stay here too. Where a worker is lost, what
/// its sequences answer for the rest of the step is zero and `failure` says so; after a reset they can be read again, by
/// the same worker once it is back or by another. Not thread safe, as all attention.
package final class RemoteAttention: AttentionService {
  /// Whether a layer's queries go out before its keys and values are there; else all goes out in one go.
  package enum Overlap: Sendable, CaseIterable {
    /// Not even keys and values go out before the result is needed.
    case never
    /// Where keys and values took longer to come in the layer before than frames take to go out.
    case wherePaid
    case always
  }

  package struct Options: Sendable {
    package var format = WireFormat.float32
    package var overlap = Overlap.wherePaid
    /// The most rows of a step.
    package var rows = 512
    /// Steps that can be under way at once, those that take turns.
    package var lanes = 1
    /// How long a lost worker is waited for, in milliseconds.
    package var patience = 30_000
    /// The model worker's name, and how often it has been started: with the same name and a higher number what its
    /// predecessor left at workers can be taken up.
    package var session = UInt64.random(in: .min ... .max)
    package var epoch: UInt32 = 0

    package init() {}
  }

  package typealias Connector = () throws(OffloadError) -> any FrameChannel

  package let division: WorkDivision
  package let options: Options
  package let lanes: [RemoteStep]
  private let layers: [AttentionLayer]
  /// `[group][slots][heads]`
  let links: [WorkerLink]
  private let connectors: [Connector]
  private var groups: [WorkerGroup]
  private var batch: UInt64 = 0
  private var nextSequence: UInt64 = 1
  /// Sequences that nobody has any more, by any thread.
  private let closed = Mutex<[(id: UInt64, group: Int)]>([])

  /// Connects to workers, one connector each; where there are more, the others are asked when one is lost.
  ///
  /// - Throws: `OffloadError` where they cannot be reached or the heads cannot be divided so.
  package init(
    layers: [AttentionLayer], division: WorkDivision, workers connectors: [Connector], key: OffloadKey,
    team: WorkerTeam, kernels: InstructionSet, options: Options = Options()
  ) throws(OffloadError) {
    precondition(connectors.count >= division.workers, "a worker for each part")
    precondition((1...AttentionModel.mostLanes).contains(options.lanes), "lanes that a worker does not have")
    let most = layers.map(\.keyValueHeads).max() ?? 0
    guard division.heads <= most else {
      throw .badSetting("\(division.heads) workers cannot share the heads of layers that have \(most) KV heads")
    }
    (self.layers, self.division, self.connectors) = (layers, division, connectors)
    self.options = options
    groups = (0..<division.requests).map { _ in WorkerGroup() }
    links = (0..<division.workers).map { index in
      let model = AttentionModel(
        session: options.session &+ UInt64(index), heads: HeadShare(index: index % division.heads, of: division.heads),
        slots: SlotShare(index: index / division.heads % division.slots, of: division.slots), rows: options.rows,
        layers: layers)
      return WorkerLink(model, key: key, epoch: options.epoch)
    }
    let links = links
    lanes = (0..<options.lanes).map { lane in
      RemoteStep(
        lane: lane, links, division, LocalAttention(layers: layers, team: team, kernels: kernels), options: options)
    }
    for lane in lanes { lane.attention = self }
    for index in links.indices { try links[index].connect([connectors[index]]) }
  }

  /// The ways to a worker for a part: its own first, then the others'.
  private func ways(to index: Int) -> [Connector] {
    (0..<connectors.count).map { connectors[(index + $0) % connectors.count] }
  }

  func links(of group: Int) -> Range<Int> { division.workers(ofGroup: group) }

  /// The time from a question that needs no computing to its answer, in the middle of `count`, from the farthest worker; and what of
  /// that it takes to hand over the question.
  ///
  /// Between two questions this side is busy for a while, as it is between the exchanges of a step: to wake up is most of it.
  ///
  /// - Parameter pause: how long, in seconds
  /// - Throws: `OffloadError` where a worker is lost.
  package func roundTrip(
    of memory: KVCache, count: Int, pause: Double
  ) throws(OffloadError) -> (seconds: Double, sending: Double) {
    guard let sequence = memory.distantHeads as? RemoteSequence else {
      preconditionFailure("a cache of another service")
    }
    precondition(count > 0)
    var slowest = (seconds: 0.0, sending: 0.0)
    for link in links(of: sequence.group) {
      var times: [(seconds: Double, sending: Double)] = []
      for _ in 0..<count {
        let end = secondsNow() + pause
        while secondsNow() < end {}
        let start = secondsNow()
        try links[link].send(.askState, sequence.id)
        let sent = secondsNow()
        try links[link].receiveState(.askState, sequence.id)
        times.append((secondsNow() - start, sent - start))
      }
      let middle = times.sorted { $0.seconds < $1.seconds }[count / 2]
      if middle.seconds > slowest.seconds { slowest = middle }
    }
    return slowest
  }

  /// Layers of a step that ask workers.
  package var exchangesOfStep: Int { layers.count { $0.recurrence == nil } }

  /// Where the time went since the start, of all workers together.
  package var times: OffloadTimes { OffloadTimes(links.map(\.times)) }

  // Sequences.

  package func makeMemory(_ plan: KVCache.Plan, slotType: KVCache.SlotType) throws(KVCacheError) -> KVCache {
    if let problem = problem(with: plan) { throw .badSpecification(plan.description, problem) }
    let group = groups.indices.min { groups[$0].load(layers) < groups[$1].load(layers) } ?? 0
    let sequence = RemoteSequence(
      nextSequence, SequenceDescription(plan: plan, slotType: slotType), group: group, self)
    let cache = try KVCache(plan: plan, layers: layers, slotType: slotType, heads: .none, distant: sequence)
    nextSequence += 1
    groups[group].add(sequence, cache)
    guard ensureOpen(sequence) else {
      throw sequence.failure ?? .badSpecification(plan.description, "the workers do not take it")
    }
    return cache
  }

  /// Takes up a sequence that an earlier process with the same name left at the workers, or begins it.
  ///
  /// - Parameter number: how many sequences that process had made before it
  package func resumeMemory(
    _ plan: KVCache.Plan, slotType: KVCache.SlotType, number: Int
  ) throws(KVCacheError) -> KVCache {
    precondition(division.requests == 1, "which group has it is not known")
    let sequence = RemoteSequence(
      UInt64(number) + 1, SequenceDescription(plan: plan, slotType: slotType), group: 0, self)
    let cache = try KVCache(plan: plan, layers: layers, slotType: slotType, heads: .none, distant: sequence)
    nextSequence = max(nextSequence, sequence.id + 1)
    groups[0].add(sequence, cache)
    guard let states = takeUp(sequence) else { throw sequence.failure ?? .badSpecification("\(plan)", "is lost") }
    // A step that some workers have finished and others have not comes again to all.
    let tokens = states.reduce(Int64.max) { min($0, $1.tokenCount) }
    let counters = states.compactMap { $0.counters(after: tokens) }
    if counters.count == states.count, !counters[0].isEmpty {
      try cache.takeUp(counters: counters[0])
    } else {
      cache.reset()
    }
    return cache
  }

  /// How a sequence of an earlier process stands at each worker; opened anew at all where one does not have it.
  private func takeUp(_ sequence: RemoteSequence) -> [SequenceState]? {
    var states: [SequenceState] = []
    do throws(OffloadError) {
      for link in links(of: sequence.group) { states.append(try links[link].adopt(sequence.id)) }
      return states
    } catch {
      guard case .refused(.sequence, _) = error else {
        sequence.fail(error)
        return nil
      }
    }
    do throws(OffloadError) {
      states = []
      for link in links(of: sequence.group) {
        states.append(try links[link].ask(.open, sequence.id, bytes: sequence.description.encoded()))
      }
      return states
    } catch {
      sequence.fail(error)
      return nil
    }
  }

  /// Why a plan cannot be divided among these workers, nil where it can.
  package func problem(with plan: KVCache.Plan) -> String? {
    if division.heads > 1, !plan.partitions.contains(.byHead) {
      return "cannot be divided by heads: what one head keeps depends on the others; divide by requests"
    }
    if division.slots > 1, let problem = plan.slotShareProblem { return "cannot be divided by tokens: \(problem)" }
    if plan.prompt?.recompression != nil { return "gives up tokens between steps, which workers are not told of" }
    if plan.prompt?.order == .layerMajor { return "reads prompts layer by layer, which workers cannot" }
    return nil
  }

  /// Notes that a sequence is gone; its workers are told before the next step.
  func close(_ id: UInt64, group: Int) { closed.withLock { $0.append((id, group)) } }

  private func closeSequences() {
    let list = closed.withLock { list in
      defer { list = [] }
      return list
    }
    for (id, group) in list {
      groups[group].remove(id)
      for link in links(of: group) where links[link].opened.contains(id) {
        do throws(OffloadError) { try links[link].ask(.close, id) } catch { lose(group, error) }
      }
    }
  }

  /// Has all workers of a sequence do something; nil where one does not.
  ///
  /// A worker that has not got the sequence, since it is lost, gets it before the next step.
  func ask(_ kind: FrameKind, _ sequence: RemoteSequence, bytes: [UInt8] = []) -> [SequenceState]? {
    var states: [SequenceState] = []
    for link in links(of: sequence.group) where links[link].opened.contains(sequence.id) {
      do throws(OffloadError) {
        states.append(try links[link].ask(kind, sequence.id, bytes: bytes))
      } catch {
        note(error, of: sequence, link)
        return nil
      }
    }
    return states
  }

  func note(_ error: OffloadError, of sequence: RemoteSequence, _ link: Int) {
    sequence.fail(error)
    if case .refused = error { return }
    links[link].drop()
    lose(sequence.group, error)
  }

  /// Notes that a worker of a group is lost: none of the group's sequences is whole any more.
  func lose(_ group: Int, _ error: OffloadError) {
    for lane in lanes { lane.leaveOut(group) }
    for sequence in groups[group].sequences { sequence.fail(error) }
  }

  /// Sees to it that all workers of a sequence are there and have it.
  func ensureOpen(_ sequence: RemoteSequence) -> Bool {
    for index in links(of: sequence.group) {
      do throws(OffloadError) {
        if !links[index].isConnected { try reconnect(index) }
        guard !links[index].opened.contains(sequence.id) else { continue }
        try links[index].ask(.open, sequence.id, bytes: sequence.description.encoded())
        if let undo = sequence.undoBytes { try links[index].ask(.keepUndo, sequence.id, bytes: undo) }
      } catch {
        note(error, of: sequence, index)
        if !links[index].isConnected { sequence.failForGood(error) }
        return false
      }
    }
    return true
  }

  /// Connects a part again, with the worker that had it or with another one.
  private func reconnect(_ index: Int) throws(OffloadError) {
    let end = ContinuousClock.now + .milliseconds(options.patience)
    while true {
      do throws(OffloadError) {
        try links[index].connect(ways(to: index))
        return
      } catch {
        guard case .lost = error, .now < end else { throw error }
        pause(milliseconds: 20)
      }
    }
  }

  package func endPrompt(of memory: KVCache) { lanes[0].local.endPrompt(of: memory) }

  // A step.

  package func beginStep(_ segments: [StepSegment<KVCache>]) { beginSteps([segments]) }

  package func beginSteps(_ steps: [[StepSegment<KVCache>]]) {
    precondition(steps.count <= lanes.count, "more steps than lanes")
    // What is asked of workers between steps is asked while no step is under way.
    closeSequences()
    for (lane, segments) in zip(lanes, steps) {
      lane.prepare(segments)
      for segment in segments { open(segment, in: lane) }
    }
    for lane in lanes[..<steps.count] {
      batch += 1
      lane.begin(batch: batch)
    }
  }

  private func open(_ segment: StepSegment<KVCache>, in lane: RemoteStep) {
    let position = segment.memory.tokenCount - Int64(segment.rows.count)
    guard let sequence = segment.memory.distantHeads as? RemoteSequence else {
      preconditionFailure("a cache of another service")
    }
    sequence.noteStep(after: position)
    guard sequence.failure == nil, ensureOpen(sequence) else { return }
    lane.append(
      StepDescription.Part(sequence: sequence.id, rows: segment.rows.count, position: position), segment.rows,
      group: sequence.group)
  }

  package func begin(layer: Int, queries: UnsafePointer<Float>) { lanes[0].begin(layer: layer, queries: queries) }

  package func offer(layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
    lanes[0].offer(layer: layer, keys: keys, values: values)
  }

  package func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>
  ) { lanes[0].finish(layer: layer, keys: keys, values: values, output: output) }

  package func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) { lanes[0].convolve(layer: layer, convolution, input: input, output: output) }

  package func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) { lanes[0].applyDeltaRule(layer: layer, call) }
}

import Kernels

/// A deployment at work, event by event, with always more requests than fit: every layer of every step of every batch.
///
/// Batches go round between the model's replicas, the network and the pool of attention (rotational staggered pipelining,
/// Lamina, arXiv 2405.01814v2, section 4.3). Where all times are equal this keeps the paper's clock; where they differ
/// whoever is ready first is served first, and the replica whose turn it is is only preferred. The last part of a token and the first
/// of the next count as one, so a step has as many parts as layers. Prompts are read elsewhere and take no time here.
package struct PipelineRun: Sendable, Equatable {
  package struct Options: Sendable {
    /// Steps of each batch before and while things are measured.
    package var warmUp = 1000
    package var steps = 3000
    package var seed: UInt64 = 1
    /// The most sequences of all batches.
    package var mostBatch = Int.max

    package init() {}
  }

  /// Sequences that run at a time, all batches together, averaged over time.
  package private(set) var batch = 0.0
  package private(set) var tokensPerSecond = 0.0
  /// Seconds between two tokens of a sequence, averaged over tokens.
  package private(set) var tokenSeconds = 0.0
  /// The share of the time in which replicas, and attention, worked.
  package private(set) var modelUse = 0.0
  package private(set) var attentionUse = 0.0
  /// Tokens held, averaged over time.
  package private(set) var tokensHeld = 0.0
  package private(set) var finished = 0
  /// Requests longer than all the room there is.
  package private(set) var refused = 0
  /// Times that a batch went to another replica, for each part of a step.
  package private(set) var migrations = 0.0

  package init(_ pipeline: Pipeline, _ trace: RequestTrace, options: Options = Options()) {
    var state = PipelineState(pipeline, trace, options)
    while state.advance() {}
    refused = state.refused
    let time = state.now - state.measuredFrom
    guard time > 0, state.tokens > 0 else { return }
    batch = state.sequenceSeconds / time
    tokensHeld = state.tokenSeconds / time
    tokensPerSecond = Double(state.tokens) / time
    tokenSeconds = state.stepSeconds / Double(state.tokens)
    modelUse = state.modelSeconds / time / Double(pipeline.replicas)
    attentionUse = state.attentionSeconds / time
    finished = state.finished
    migrations = Double(state.migrations) / Double(max(state.parts, 1))
  }
}

/// Where everything stands in a run.
private struct PipelineState {
  private enum Event {
    case modelDone(batch: Int, replica: Int)
    case arrived(batch: Int)
    case attentionDone(batch: Int)
    case returned(batch: Int)
  }

  private struct Batch {
    var running = RunningBatch()
    var part: (model: Double, exchange: Double, attention: Double) = (0, 0, 0)
    /// Parts of the model that it has begun.
    var parts = 0
    /// Of the step under way.
    var layer = 0
    var stepStart = 0.0
    var replica = 0
  }

  private let pipeline: Pipeline
  private let trace: RequestTrace
  private let options: PipelineRun.Options
  private var random: SplitMix64
  private var events = EventQueue<Event>()
  private var batches: [Batch]
  private var isBusy: [Bool]
  private var isAttending = false
  private var waitingForModel: [Int] = []
  private var waitingForAttention: [Int] = []
  /// Requests that came and did not fit yet, by batch.
  private var next: [RequestTrace.Request?]
  private var isMeasuring = false

  private(set) var now = 0.0
  private(set) var measuredFrom = 0.0
  private(set) var sequenceSeconds = 0.0
  private(set) var tokenSeconds = 0.0
  private(set) var stepSeconds = 0.0
  private(set) var modelSeconds = 0.0
  private(set) var attentionSeconds = 0.0
  private(set) var tokens = 0
  private(set) var finished = 0
  private(set) var refused = 0
  private(set) var migrations = 0
  private(set) var parts = 0

  init(_ pipeline: Pipeline, _ trace: RequestTrace, _ options: PipelineRun.Options) {
    self.pipeline = pipeline
    self.trace = trace
    self.options = options
    random = SplitMix64(seed: options.seed)
    batches = Array(repeating: Batch(), count: pipeline.batches)
    isBusy = Array(repeating: false, count: pipeline.replicas)
    next = Array(repeating: nil, count: pipeline.batches)
    for index in batches.indices {
      admit(index)
      if batches[index].running.count > 0 {
        beginStep(index)
        waitingForModel.append(index)
      }
    }
    serveModel()
  }

  /// Does what happens next; false when all is measured.
  mutating func advance() -> Bool {
    guard let (time, event) = events.next() else { return false }
    if isMeasuring {
      sequenceSeconds += (time - now) * Double(batches.reduce(0) { $0 + $1.running.count })
      tokenSeconds += (time - now) * Double(batches.reduce(0) { $0 + $1.running.tokens })
      modelSeconds += (time - now) * Double(isBusy.count { $0 })
      if isAttending { attentionSeconds += time - now }
    }
    now = time
    switch event {
    case .modelDone(let index, let replica):
      isBusy[replica] = false
      events.add(.arrived(batch: index), at: now + batches[index].part.exchange / 2)
      serveModel()
    case .arrived(let index):
      waitingForAttention.append(index)
      serveAttention()
    case .attentionDone(let index):
      isAttending = false
      events.add(.returned(batch: index), at: now + batches[index].part.exchange / 2)
      serveAttention()
    case .returned(let index):
      batches[index].layer += 1
      if batches[index].layer == pipeline.layers {
        endStep(index)
        if isOver { return false }
      }
      waitingForModel.append(index)
      serveModel()
    }
    return true
  }

  private var isOver: Bool {
    isMeasuring && batches.allSatisfy { $0.running.steps >= options.warmUp + options.steps }
  }

  private mutating func serveModel() {
    while let index = waitingForModel.first, let free = isBusy.firstIndex(of: false) {
      waitingForModel.removeFirst()
      let turn = (index + batches[index].parts) % isBusy.count
      let replica = isBusy[turn] ? free : turn
      if isMeasuring {
        parts += 1
        if replica != batches[index].replica { migrations += 1 }
      }
      batches[index].replica = replica
      batches[index].parts += 1
      isBusy[replica] = true
      events.add(.modelDone(batch: index, replica: replica), at: now + batches[index].part.model)
    }
  }

  private mutating func serveAttention() {
    guard !isAttending, !waitingForAttention.isEmpty else { return }
    let index = waitingForAttention.removeFirst()
    isAttending = true
    events.add(.attentionDone(batch: index), at: now + batches[index].part.attention)
  }

  private mutating func beginStep(_ index: Int) {
    let running = batches[index].running
    batches[index].layer = 0
    batches[index].stepStart = now
    batches[index].part = pipeline.layer(batch: Double(running.count), tokens: Double(running.tokens))
  }

  private mutating func endStep(_ index: Int) {
    let count = batches[index].running.count
    let done = batches[index].running.step()
    if isMeasuring {
      tokens += count
      stepSeconds += Double(count) * (now - batches[index].stepStart)
      finished += done.count
    }
    admit(index)
    beginStep(index)
    if !isMeasuring, batches.allSatisfy({ $0.running.steps >= options.warmUp }) {
      isMeasuring = true
      measuredFrom = now
    }
  }

  /// Lets in whoever comes next as long as there is room for all of it.
  private mutating func admit(_ index: Int) {
    let room = pipeline.capacity / pipeline.batches
    let most = options.mostBatch / pipeline.batches
    var attempts = 0
    while batches[index].running.count < max(most, 1) {
      let request = next[index] ?? trace.request(using: &random)
      guard request.tokens <= room else {
        refused += 1
        attempts += 1
        // There is hardly a request that fits: better an empty machine than a search without end.
        if attempts > 1000 { return }
        continue
      }
      guard batches[index].running.reserved + request.tokens <= room else {
        next[index] = request
        return
      }
      next[index] = nil
      batches[index].running.add(.init(request: request, arrival: now, admission: now))
    }
  }
}

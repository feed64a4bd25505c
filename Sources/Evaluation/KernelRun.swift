package import Kernels

/// How fast single kernels are on shapes of a middle-sized model, beside what the machine allows.
package struct KernelRun: Sendable {
  /// One measured kernel.
  package struct Row: Sendable {
    package var kernel: String
    package var shape: String
    package var type: String
    /// Bytes a second of the data that a call reads; of what it reads and writes for kernels of one row.
    package var bytesPerSecond: Double
    /// Operations a second, two for a multiplication with its addition; nil for kernels of one row.
    package var operationsPerSecond: Double?
    /// Shares of the machine's limits; nil where the work stays in the caches of one CPU.
    package var fractionOfBandwidth: Double?
    package var fractionOfPeak: Double?
  }

  /// The shapes and the effort.
  package struct Options: Sendable {
    /// Rows and columns of the square matrices.
    package var width = 2048
    /// Tokens of a matrix product, one row of the table each.
    package var tokens = [1, 8, 512]
    /// Slots of the key-value store that attention reads.
    package var slots = 16_384
    /// The best of so many runs counts.
    package var rounds = 5
    /// Memory that a kernel's data rotates through, so that it comes from memory as in a model.
    package var rotatedBytes = 128 << 20

    package init() {}
  }

  let team: WorkerTeam
  let kernels: InstructionSet
  let limits: MachineLimits
  let options: Options

  package init(team: WorkerTeam, kernels: InstructionSet, limits: MachineLimits, options: Options) {
    precondition(options.width > 0 && options.width % 256 == 0, "a width of whole blocks")
    precondition(options.slots > 0 && options.rounds > 0 && options.tokens.allSatisfy { $0 > 0 })
    self.team = team
    self.kernels = kernels
    self.limits = limits
    self.options = options
  }

  /// Measures every kernel and hands over each row as it is there.
  package func measure(_ body: (Row) -> Void) {
    for type in ElementType.allCases { measureLinear(type, body) }
    for type in ElementType.allCases where SlotStorage.supports(type: type, headDim: Self.headDim) {
      measureAttention(type, body)
    }
    measureRows(body)
  }

  /// Products with square matrices: bytes bound those of few tokens, operations those of many.
  private func measureLinear(_ type: ElementType, _ body: (Row) -> Void) {
    let width = options.width
    let matrixBytes = width * type.rowBytes(columns: width)
    // As halves, floats and scales alike these bytes are ordinary numbers.
    let source = [UInt8](repeating: 0x3A, count: matrixBytes)
    let copies = min(max(options.rotatedBytes / matrixBytes, 1), 64)
    let matrices = (0..<copies).map { _ in
      source.withUnsafeBytes { PackedMatrix(type: type, rows: width, columns: width, source: $0, team: team) }
    }
    for tokens in options.tokens {
      let activations = Activations(capacity: tokens, columns: width)
      activations.values.elements.update(repeating: 0.5)
      activations.quantize(tokens: tokens, with: kernels)
      let out = Buffer<Float>(count: tokens * width)
      var next = 0
      let seconds = secondsPerCall {
        kernels.linear(
          LinearSegment(matrices[next % copies], out: out.pointer, stride: width), activations: activations,
          tokens: tokens, arithmetic: .int8, team: team)
        next += 1
      }
      body(
        row(
          "linear", "\(width) x \(width), \(tokens == 1 ? "1 token" : "\(tokens) tokens")", type,
          bytes: matrixBytes, operations: 2 * width * width * tokens, seconds,
          peak: limits.operations(for: type, arithmetic: .int8)))
    }
  }

  private func row(
    _ kernel: String, _ shape: String, _ type: ElementType, bytes: Int, operations: Int, _ seconds: Double, peak: Double
  ) -> Row {
    let (bytes, operations) = (Double(bytes) / seconds, Double(operations) / seconds)
    return Row(
      kernel: kernel, shape: shape, type: type.name, bytesPerSecond: bytes, operationsPerSecond: operations,
      fractionOfBandwidth: bytes / limits.readBandwidth, fractionOfPeak: operations / peak)
  }

  private static let headDim = 64
  private static let queryHeads = 32
  private static let keyValueHeads = 4

  /// One decoded token against a full store: 32 query heads that share 4 KV heads of 64 dimensions.
  private func measureAttention(_ type: ElementType, _ body: (Row) -> Void) {
    let (slots, headDim) = (options.slots, Self.headDim)
    let (group, heads) = (Self.queryHeads / Self.keyValueHeads, Self.keyValueHeads)
    let keyBytes = SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
    let valueBytes = SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
    let copies = min(max(options.rotatedBytes / (heads * (keyBytes + valueBytes)), 1), 64)
    let memory = Buffer<UInt8>(count: copies * heads * (keyBytes + valueBytes))
    memory.elements.update(repeating: 0x3A)
    let queries = Buffer<Float>(count: Self.queryHeads * headDim)
    queries.elements.update(repeating: 0.01)
    let threads = (0..<team.threads).map { _ in AttentionScratch(rows: group, headDim: headDim) }
    var next = 0
    let seconds = secondsPerCall {
      let copy = next % copies
      team.forEachThread { thread in
        let share = thread * slots / team.threads..<(thread + 1) * slots / team.threads
        for head in 0..<heads {
          let base = memory.pointer + (copy * heads + head) * (keyBytes + valueBytes)
          let storage = SlotStorage(
            type: type, headDim: headDim, slots: slots, keys: base, values: base + keyBytes)
          threads[thread].attend(
            storage, run: share, queries: queries.pointer + head * group * headDim, rows: group, kernels)
        }
      }
      next += 1
    }
    body(
      row(
        "attention", "\(Self.queryHeads) / \(heads) heads x \(headDim), \(slots) slots", type,
        bytes: heads * (keyBytes + valueBytes), operations: 4 * slots * Self.queryHeads * headDim, seconds,
        peak: limits.float32))
  }

  /// Norm and softmax of one row, on one thread and out of the caches of the CPU.
  private func measureRows(_ body: (Row) -> Void) {
    let width = options.width
    let (input, weight, output) = (
      Buffer<Float>(count: width), Buffer<Float>(count: width), Buffer<Float>(count: width)
    )
    for buffer in [input, weight] { buffer.elements.update(repeating: 0.5) }
    let norm = secondsPerCall {
      kernels.rmsNorm(input.pointer, weight: weight.pointer, out: output.pointer, count: width, epsilon: 1e-5)
    }
    let softmax = secondsPerCall { kernels.softmax(output.pointer, count: width) }
    for (name, seconds) in [("RMS norm", norm), ("softmax", softmax)] {
      body(
        Row(
          kernel: name, shape: "\(width), 1 thread", type: "F32", bytesPerSecond: Double(8 * width) / seconds))
    }
  }

  /// The best of the rounds, each of at least 20 ms and a call.
  private func secondsPerCall(_ body: () -> Void) -> Double {
    body()
    let calls = max(1, Int(0.02 / MachineLimits.fastest(of: 1, body)))
    let seconds = MachineLimits.fastest(of: options.rounds) { for _ in 0..<calls { body() } }
    return seconds / Double(calls)
  }
}

/// What one thread needs to attend, made before the clock starts.
private struct AttentionScratch: @unchecked Sendable {
  private let (rows, headDim): (Int, Int)
  private let state: Buffer<Float>  // max, sum, then out: [row], [row], [row, headDim]
  private let scratch: Buffer<Float>

  init(rows: Int, headDim: Int) {
    (self.rows, self.headDim) = (rows, headDim)
    state = Buffer(count: rows * (headDim + 2))
    scratch = Buffer(count: InstructionSet.attentionScratch(rows: rows, headDim: headDim))
  }

  func attend(
    _ storage: SlotStorage, run: Range<Int>, queries: UnsafePointer<Float>, rows: Int, _ kernels: InstructionSet
  ) {
    let partial = PartialRows(
      max: state.pointer, sum: state.pointer + rows, out: state.pointer + 2 * rows, stride: headDim)
    partial.clear(rows: rows, headDim: headDim)
    kernels.attend(
      storage, run: run, queries: QueryRows(queries, stride: headDim, count: rows, rowsPerToken: rows),
      partial: partial, scratch: scratch.pointer)
  }
}

import CKernels
import Kernels
import TestSupport
import Testing

/// A batch of activations, some of them adversarial, with the quants of the portable kernels.
private struct Batch {
  let tokens: Int
  let columns: Int
  let values: [Float]
  var quants: [Int8]
  var scales: [Float]
  var sums: [Int32]

  init(tokens: Int, columns: Int, using random: inout SplitMix64) {
    self.tokens = tokens
    self.columns = columns
    var values: [Float] = []
    for token in 0..<tokens {
      for column in 0..<columns {
        switch token {
        case 1: values.append(0)
        case 2: values.append(.leastNonzeroMagnitude * 71_000)
        case 3: values.append(column % 2 == 0 ? 1e30 : -1e30)
        case 4: values.append(-0.0)
        case 5: values.append(1 / 3)
        case 6: values.append(column == 0 ? 1e4 : random.normal() / 1000)
        default: values.append(random.normal())
        }
      }
    }
    self.values = values
    quants = [Int8](repeating: 0, count: values.count)
    scales = [Float](repeating: 0, count: tokens * (columns / 32))
    sums = [Int32](repeating: 0, count: tokens * (columns / 32) * 2)
    guard columns % 32 == 0 else { return }
    let quantize = InstructionSet.available.last!.kernels.pointee.quantize!
    quantize(values, Int32(tokens * columns), &quants, &scales, &sums)
  }

  /// What the kernel multiplies: the float, or the dequantised int8.
  func value(_ token: Int, _ column: Int, quantized: Bool) -> Double {
    let index = token * columns + column
    return quantized ? Double(scales[index / 32]) * Double(quants[index]) : Double(values[index])
  }

  func multiply(
    _ matrix: PackedMatrix, tokens range: Range<Int>, arithmetic: Arithmetic, with instructions: InstructionSet,
    into out: inout [Float], accumulate: Bool = false
  ) {
    values.withUnsafeBufferPointer { values in
      quants.withUnsafeBufferPointer { quants in
        scales.withUnsafeBufferPointer { scales in
          sums.withUnsafeBufferPointer { sums in
            out.withUnsafeMutableBufferPointer { out in
              var activations = sluice_activations(
                values: values.baseAddress, stride: columns, quants: quants.baseAddress, scales: scales.baseAddress,
                sums: sums.baseAddress, columns: Int32(columns))
              var segment = sluice_linear_segment(
                type: matrix.type.kernelType, rows: Int32(matrix.rows), columns: Int32(columns), panels: matrix.panels,
                out: out.baseAddress, out_stride: matrix.rows, accumulate: accumulate ? 1 : 0)
              instructions.kernels.pointee.linear(
                &segment, 0, Int32(matrix.panelCount), &activations, Int32(range.lowerBound),
                Int32(range.upperBound), arithmetic == .int8 ? 1 : 0)
            }
          }
        }
      }
    }
  }
}

@Suite struct LinearTests {
  /// Each output must lie within `tolerance` of the Float64 sum, relative to the sum of magnitudes: the bound that
  /// rounding analysis gives, sharp for every row and token alike.
  private func check(
    _ out: [Float], _ source: [Double], rows: Int, batch: Batch, quantized: Bool, tolerance: Double, absolute: Double,
    _ what: String
  ) {
    for token in 0..<batch.tokens {
      for row in 0..<rows {
        var sum = 0.0
        var magnitude = 0.0
        for column in 0..<batch.columns {
          let product = source[row * batch.columns + column] * batch.value(token, column, quantized: quantized)
          sum += product
          magnitude += abs(product)
        }
        let error = abs(Double(out[token * rows + row]) - sum)
        if !(error <= tolerance * magnitude + absolute * Double(batch.columns)) {
          Issue.record("\(what): token \(token) row \(row) is \(out[token * rows + row]), not \(sum)")
          return
        }
      }
    }
  }

  @Test(arguments: ElementType.allCases, [Arithmetic.float32, .int8])
  func productsMatchFloat64(type: ElementType, arithmetic: Arithmetic) {
    var random = SplitMix64(seed: 11)
    let columnCounts =
      switch type.blockSize {
      case 1: [1, 7, 33, 96, 259, 520]
      case 32: [32, 288, 544]
      default: [256, 768]
      }
    for columns in columnCounts {
      let rows = 37
      let source = GGUFRows(type: type, rows: rows, columns: columns, using: &random)
      let values = source.values
      let matrix = source.packed()
      let batch = Batch(tokens: 13, columns: columns, using: &random)
      for instructions in InstructionSet.available {
        var out = [Float](repeating: .nan, count: 13 * rows)
        batch.multiply(matrix, tokens: 0..<13, arithmetic: arithmetic, with: instructions, into: &out)
        // Products of bf16 round the activations and flush denormals.
        let rounded = type == .bfloat16 && arithmetic == .int8
        check(
          out, values, rows: rows, batch: batch, quantized: type.isQuantized && arithmetic == .int8,
          tolerance: rounded ? 0x1p-8 : 2e-6, absolute: rounded ? 1e-37 : 1e-43,
          "\(instructions) \(type.name) \(columns)")
      }
    }
  }

  /// The same bits, however many tokens a call has: prefill, batches and single tokens agree.
  @Test(arguments: ElementType.allCases, [Arithmetic.float32, .int8])
  func resultsDoNotDependOnTheBatch(type: ElementType, arithmetic: Arithmetic) {
    var random = SplitMix64(seed: 12)
    let (rows, columns, tokens) = (50, type.isQuantized ? max(320, 2 * type.blockSize) : 323, 512)
    let matrix = GGUFRows(type: type, rows: rows, columns: columns, using: &random).packed()
    let batch = Batch(tokens: tokens, columns: columns, using: &random)
    for instructions in InstructionSet.available {
      var single = [Float](repeating: .nan, count: tokens * rows)
      for token in 0..<tokens {
        batch.multiply(matrix, tokens: token..<token + 1, arithmetic: arithmetic, with: instructions, into: &single)
      }
      for size in [2, 3, 5, 7, 8, 12, 33, 97, 512] {
        var out = [Float](repeating: .nan, count: tokens * rows)
        for start in stride(from: 0, to: tokens, by: size) {
          batch.multiply(
            matrix, tokens: start..<min(start + size, tokens), arithmetic: arithmetic, with: instructions, into: &out)
        }
        #expect(
          zip(out, single).allSatisfy { $0.bitPattern == $1.bitPattern }, "\(instructions) in batches of \(size)")
      }
    }
  }

  /// Weights and activations of the largest magnitude are what a 16-bit intermediate would overflow at.
  @Test(arguments: ElementType.allCases.filter(\.isQuantized), [UInt8(0), 0x7f, 0x80, 0xff])
  func extremeQuantsDoNotSaturate(type: ElementType, fill: UInt8) {
    let columns = 2 * type.blockSize
    let block = GGUFRows.block(type, scale: 1, minimum: 0) { fill }
    let source = GGUFRows(type: type, columns: columns, bytes: Array(repeating: block, count: 34).flatMap { $0 })
    let matrix = source.packed()
    for sign in [Float(1), -1] {
      let activations = Activations(capacity: 3, columns: columns)
      activations.values.elements.update(repeating: sign)
      for instructions in InstructionSet.available {
        activations.quantize(tokens: 3, with: instructions)
        var view = activations.kernelView
        var out = [Float](repeating: 0, count: 51)
        out.withUnsafeMutableBufferPointer { out in
          var segment = LinearSegment(matrix, out: out.baseAddress!, stride: 17).kernelSegment
          instructions.kernels.pointee.linear(&segment, 0, 2, &view, 0, 3, 1)
        }
        let expected = Float(source.values[..<columns].reduce(0, +)) * sign
        #expect(out.allSatisfy { abs($0 - expected) <= 1e-6 * abs(expected) }, "\(instructions)")
      }
    }
  }

  @Test func accumulationAddsToTheOutput() {
    var random = SplitMix64(seed: 13)
    let matrix = GGUFRows(type: .q8_0, rows: 20, columns: 64, using: &random).packed()
    let batch = Batch(tokens: 9, columns: 64, using: &random)
    for instructions in InstructionSet.available {
      for range in [0..<1, 0..<9] {
        var plain = [Float](repeating: 0, count: 180)
        batch.multiply(matrix, tokens: range, arithmetic: .int8, with: instructions, into: &plain)
        var residual = (0..<180).map { Float($0) }
        batch.multiply(
          matrix, tokens: range, arithmetic: .int8, with: instructions, into: &residual, accumulate: true)
        for index in 0..<range.count * 20 { #expect(residual[index] == Float(index) + plain[index]) }
        for index in range.count * 20..<180 { #expect(residual[index] == Float(index)) }
      }
    }
  }

  @Test func groupsOverTeamsOfAnySizeGiveTheSameBits() throws {
    var random = SplitMix64(seed: 14)
    let shapes: [(ElementType, Int)] = [(.q8_0, 100), (.float16, 33), (.q4_1, 16), (.bfloat16, 7)]
    let matrices = shapes.map { GGUFRows(type: $0, rows: $1, columns: 96, using: &random).packed() }
    let activations = Activations(capacity: 20, columns: 96)
    for index in 0..<20 * 96 { activations.values[index] = random.normal() }
    activations.quantize(tokens: 20)
    for tokens in [1, 2, 20] {
      var expected: [[Float]]?
      for threads in [1, 2, 3, 5] {
        let team = try WorkerTeam(threads: threads)
        let outs = matrices.map { Buffer<Float>(count: 20 * $0.rows) }
        let segments = zip(matrices, outs).map { LinearSegment($0, out: $1.pointer, stride: $0.rows) }
        InstructionSet.current.linear(
          segments[0], segments[1], segments[2], segments[3], activations: activations, tokens: tokens,
          arithmetic: .int8, team: team)
        let results = zip(outs, matrices).map { Array($0.elements[..<(tokens * $1.rows)]) }
        if let expected { #expect(results == expected, "\(tokens) tokens, \(threads) threads") }
        expected = expected ?? results
        #expect(results.allSatisfy { $0.allSatisfy { $0 != 0 } })
      }
    }
  }

  /// Inputs that lie further apart than they are long, and any range of panels and tokens.
  @Test(arguments: [ElementType.float32, .float16, .bfloat16])
  func partsOfAMatrixMatchFloat64AndLeaveTheRestAlone(type: ElementType) {
    var random = SplitMix64(seed: 16)
    for columns in [1, 4, 16, 21, 70] {
      let (rows, tokens, stride) = (37, 11, columns + 5)
      let source = GGUFRows(type: type, rows: rows, columns: columns, using: &random)
      let matrix = source.packed()
      let inputs = random.normals(tokens * stride)
      for instructions in InstructionSet.available {
        for (panels, range) in [(0..<3, 0..<11), (1..<2, 3..<4), (2..<3, 0..<9), (1..<1, 0..<11), (0..<3, 5..<5)] {
          var out = (0..<tokens * rows).map { Float($0) }
          out.withUnsafeMutableBufferPointer { out in
            instructions.linear(
              LinearSegment(matrix, out: out.baseAddress!, stride: rows, accumulates: true), panels: panels,
              inputs: inputs, stride: stride, tokens: range)
          }
          for token in 0..<tokens {
            for row in 0..<rows {
              let index = token * rows + row
              guard panels.contains(row / 16), range.contains(token) else {
                #expect(out[index] == Float(index))
                continue
              }
              var (sum, magnitude) = (Double(index), Double(index))
              for column in 0..<columns {
                let product = source.value(row, column) * Double(inputs[token * stride + column])
                sum += product
                magnitude += abs(product)
              }
              #expect(abs(Double(out[index]) - sum) <= 2e-6 * magnitude, "\(instructions) \(columns) columns")
            }
          }
        }
      }
    }
  }

  @Test func quantizationStaysWithinHalfAStep() {
    var random = SplitMix64(seed: 15)
    let batch = Batch(tokens: 12, columns: 96, using: &random)
    for instructions in InstructionSet.available {
      var quants = [Int8](repeating: 99, count: batch.values.count)
      var scales = [Float](repeating: .nan, count: batch.scales.count)
      var sums = [Int32](repeating: 99, count: batch.sums.count)
      instructions.kernels.pointee.quantize(batch.values, Int32(batch.values.count), &quants, &scales, &sums)
      #expect(quants == batch.quants && sums == batch.sums && scales == batch.scales, "\(instructions)")
      for block in scales.indices {
        let part = block * 32..<block * 32 + 32
        for (index, count) in [16, 32].enumerated() {
          #expect(sums[2 * block + index] == part.prefix(count).reduce(0) { $0 + Int32(quants[$1]) })
        }
        for index in part {
          let error = abs(Double(batch.values[index]) - Double(scales[block]) * Double(quants[index]))
          #expect(error <= Double(scales[block]) * 0.5001 + 1e-36 && quants[index] >= -127)
        }
      }
    }
  }
}

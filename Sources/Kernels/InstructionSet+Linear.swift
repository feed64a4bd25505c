package import CKernels

/// One matrix of a group of products that share their activations, and where its output goes.
package struct LinearSegment: @unchecked Sendable, BitwiseCopyable {
  package let kernelSegment: sluice_linear_segment

  /// - Parameters:
  ///   - out: [token, rows], `stride` floats between tokens.
  ///   - accumulates: adds to `out` (a residual) instead of replacing it.
  package init(_ matrix: PackedMatrix, out: UnsafeMutablePointer<Float>, stride: Int, accumulates: Bool = false) {
    precondition(stride >= matrix.rows, "outputs of two tokens must not overlap")
    kernelSegment = sluice_linear_segment(
      type: matrix.type.kernelType, rows: Int32(matrix.rows), columns: Int32(matrix.columns), panels: matrix.panels,
      out: out, out_stride: stride, accumulate: accumulates ? 1 : 0)
  }

  /// A matrix that has its place already and gets an output with each product.
  ///
  /// - Precondition: it lives as long as the segment is used.
  package init(_ matrix: PackedMatrix) {
    kernelSegment = sluice_linear_segment(
      type: matrix.type.kernelType, rows: Int32(matrix.rows), columns: Int32(matrix.columns), panels: matrix.panels,
      out: nil, out_stride: matrix.rows, accumulate: 0)
  }

  package var rows: Int { Int(kernelSegment.rows) }
  package var panelCount: Int { (rows + 15) / 16 }
  package var bytes: Int { panelCount * sluice_panel_bytes(kernelSegment.type, kernelSegment.columns) }

  /// The same matrix with an output [token, rows].
  package func writing(to out: UnsafeMutablePointer<Float>, accumulates: Bool = false) -> LinearSegment {
    var segment = kernelSegment
    segment.out = out
    segment.accumulate = accumulates ? 1 : 0
    return LinearSegment(kernelSegment: segment)
  }

  private init(kernelSegment: sluice_linear_segment) { self.kernelSegment = kernelSegment }
}

extension InstructionSet {
  /// Multiplies up to four matrices with the first `tokens` rows of the same activations: out = x · Wᵀ.
  ///
  /// The work is split by bytes over the team with one join. Results depend neither on the number of threads nor on how
  /// tokens are batched. The matrices must stay alive until it returns; nothing is allocated.
  /// - Precondition: for `.int8`, `activations.quantize` has run for these tokens where a matrix is quantised.
  package func linear(
    _ first: LinearSegment, _ second: LinearSegment? = nil, _ third: LinearSegment? = nil,
    _ fourth: LinearSegment? = nil, activations: Activations, tokens: Int, arithmetic: Arithmetic, team: WorkerTeam
  ) {
    precondition(tokens >= 0 && tokens <= activations.capacity, "tokens out of range")
    withUnsafeTemporaryAllocation(of: sluice_linear_segment.self, capacity: 4) { segments in
      segments.initializeElement(at: 0, to: first.kernelSegment)
      var count = 1
      func append(_ segment: LinearSegment?) {
        guard let segment else { return }
        segments.initializeElement(at: count, to: segment.kernelSegment)
        count += 1
      }
      append(second)
      append(third)
      append(fourth)
      for segment in segments[..<count] {
        precondition(segment.columns == activations.columns, "the matrix and the activations differ in columns")
      }
      var view = activations.kernelView
      sluice_linear_group(
        team.handle, kernels, segments.baseAddress, Int32(count), &view, Int32(tokens), arithmetic == .int8 ? 1 : 0)
    }
  }

  /// Multiplies some panels of a matrix with some rows of floats on the calling thread, for work that is divided elsewhere.
  ///
  /// The same sums as in a group, bit for bit; nothing is allocated.
  /// - Parameters:
  ///   - inputs: [token, columns], `stride` floats between tokens; token 0 is at the pointer, as it is in the output.
  ///   - panels: which panels of 16 rows of the matrix.
  package func linear(
    _ segment: LinearSegment, panels: Range<Int>, inputs: UnsafePointer<Float>, stride: Int, tokens: Range<Int>
  ) {
    var segment = segment.kernelSegment
    precondition(panels.lowerBound >= 0 && panels.upperBound <= (Int(segment.rows) + 15) / 16, "panels out of range")
    precondition(tokens.lowerBound >= 0 && stride >= segment.columns, "inputs of two tokens must not overlap")
    guard !panels.isEmpty, !tokens.isEmpty else { return }
    var view = sluice_activations(
      values: inputs, stride: stride, quants: nil, scales: nil, sums: nil, columns: segment.columns)
    kernels.pointee.linear(
      &segment, Int32(panels.lowerBound), Int32(panels.upperBound), &view, Int32(tokens.lowerBound),
      Int32(tokens.upperBound), 0)
  }
}

import CLibrary
import Kernels

/// What a query gets from SubGen's samples: QueryStreamAttn of Algorithm 1.
extension SubGenSummary {
  /// Adds the estimated numerator to `out` and the estimated denominator to `sum`, relative to a common maximum.
  func addEstimates(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let (clusters, values) = (normalizerClusters(head), valueSamples(head))
    guard clusters.used > 0 else { return }
    let headDim = headDim
    // Σ e^⟨q,k⟩ v / |v|², whose sum of weights means nothing.
    let numerator = PartialRows(
      max: scratch, sum: scratch + queries.count, out: scratch + 2 * queries.count, stride: headDim)
    numerator.clear(rows: queries.count, headDim: headDim)
    if values.mass.pointee > 0 {
      kernels.attend(
        values.slots, run: sharedRun(of: values.slots.slots, share: share), queries: queries, partial: numerator,
        logWeights: values.logWeights, scratch: kernelScratch)
    }
    let run = sharedRun(of: clusters.used * clusters.samplesPerCluster, share: share)
    let samples = clusters.samples.droppingPanels(of: run.lowerBound)
    let logits = scratch + queries.count * (headDim + 2)
    for row in 0..<queries.count {
      kernels.products(
        of: queries.queries + row * queries.stride, with: samples, slots: run.count, out: logits)
      if queries.softCap > 0 { kernels.softCap(logits, cap: queries.softCap, count: run.count) }
      kernels.add(clusters.logWeights + run.lowerBound, to: logits, count: run.count)
      let denominator = run.isEmpty ? -.infinity : kernels.logSumExp(logits, count: run.count)
      let shift = numerator.max[row] == -.infinity ? -.infinity : numerator.max[row] + values.logShare
      partial.add(
        sumLogarithm: denominator, out: numerator.out + row * headDim, outLogarithm: shift, row: row, headDim: headDim)
    }
  }
}

extension PartialRows {
  /// Adds e^`sumLogarithm` to the sum of a row and e^`outLogarithm` × `out` to its output.
  fileprivate func add(
    sumLogarithm: Float, out other: UnsafePointer<Float>, outLogarithm: Float, row: Int, headDim: Int
  ) {
    let largest = Swift.max(max[row], sumLogarithm, outLogarithm)
    guard largest > -.infinity else { return }
    let (before, sumScale, outScale) = (
      expf(max[row] - largest), expf(sumLogarithm - largest), expf(outLogarithm - largest)
    )
    max[row] = largest
    sum[row] = sum[row] * before + sumScale
    let target = out + row * stride
    for index in 0..<headDim { target[index] = target[index] * before + other[index] * outScale }
  }
}

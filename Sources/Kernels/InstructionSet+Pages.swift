import CKernels

/// Bounds of pages of keys: the smallest and the largest of each dimension, as halves rounded outward.
extension InstructionSet {
  /// Halves that hold the bounds of so many pages, `[panel of 16 pages, dim, (smallest | largest), page of the panel]`.
  package static func pageBoundsCount(pages: Int, headDim: Int) -> Int { (pages + 15) / 16 * headDim * 32 }

  /// Takes a key into the bounds of its page; the first key of a page forgets what was there.
  package func widen(
    page: Int, of bounds: UnsafeMutablePointer<UInt16>, by key: UnsafePointer<Float>, headDim: Int, isFirst: Bool
  ) {
    precondition(page >= 0 && headDim > 0, "page out of range")
    kernels.pointee.widen_page(Int32(headDim), key, bounds, Int32(page), isFirst ? 1 : 0)
  }

  /// Writes for each page what no logit of it exceeds, the largest over the rows of a token.
  ///
  /// - Parameters:
  ///   - slopes: ALiBi, `[row]`; then `distances`, `[page]`, is that of the nearest key of each page.
  ///   - next: bounds that will be asked for next, fetched meanwhile.
  ///   - out: `[page]`
  package func boundPages(
    _ bounds: UnsafePointer<UInt16>, pages: Int, queries: QueryRows, headDim: Int, slopes: UnsafePointer<Float>? = nil,
    distances: UnsafePointer<Float>? = nil, next: UnsafePointer<UInt16>? = nil, out: UnsafeMutablePointer<Float>
  ) {
    precondition(pages >= 0 && queries.count > 0 && queries.stride >= headDim, "rows must not overlap")
    precondition((slopes == nil) == (distances == nil), "slopes and distances go together")
    kernels.pointee.bound_pages(
      Int32(headDim), bounds, next, Int32(pages), Int32(queries.count), queries.queries, queries.stride, slopes,
      distances, out)
  }
}

import CKernels

/// A matrix whose rows are read one by one from where a file has them, for tables that are too large to be packed.
///
/// One thread at a time.
package final class RowTable: @unchecked Sendable {
  private let type: ElementType
  package let rows: Int
  package let columns: Int
  private let source: UnsafeRawBufferPointer
  /// Keeps the source mapped.
  private let owner: any Sendable
  /// One row on its way, as a panel.
  private let panel: Buffer<UInt8>

  /// - Parameters:
  ///   - source: exactly `rows * type.rowBytes(columns:)` bytes, valid as long as `owner` lives
  package init(type: ElementType, rows: Int, columns: Int, source: UnsafeRawBufferPointer, owner: any Sendable) {
    precondition(rows > 0 && columns > 0 && columns % type.blockSize == 0, "a table has whole blocks")
    precondition(source.count == rows * type.rowBytes(columns: columns), "the source must be the whole table")
    self.type = type
    self.rows = rows
    self.columns = columns
    self.source = source
    self.owner = owner
    panel = Buffer(count: type.panelBytes(columns: columns))
  }

  package var bytes: Int { source.count }

  /// Writes one row as `columns` floats.
  package func copyRow(_ row: Int, to out: UnsafeMutablePointer<Float>) {
    precondition(row >= 0 && row < rows, "row out of range")
    guard let base = source.baseAddress else { return }
    sluice_pack_panel(type.kernelType, base + row * type.rowBytes(columns: columns), 1, Int32(columns), panel.pointer)
    sluice_unpack_row(type.kernelType, panel.pointer, 0, Int32(columns), out)
  }
}

import CKernels

/// A weight matrix [rows, columns] repacked into panels of 16 rows, the form every kernel reads.
///
/// It takes the bytes of the GGUF tensor, rounded up to a whole panel.
package final class PackedMatrix: Sendable {
  package let type: ElementType
  package let rows: Int
  package let columns: Int

  private let storage: Buffer<UInt8>

  /// Bytes of the packed panels.
  package var bytes: Int { storage.count }
  package var panels: UnsafePointer<UInt8> { UnsafePointer(storage.pointer) }
  package var panelCount: Int { (rows + 15) / 16 }

  /// Packs `rows` GGUF rows, split over the team.
  ///
  /// - Parameter source: exactly `rows * type.rowBytes(columns:)` bytes, any alignment; not needed afterwards.
  package init(type: ElementType, rows: Int, columns: Int, source: UnsafeRawBufferPointer, team: WorkerTeam?) {
    precondition(rows > 0 && columns > 0 && columns % type.blockSize == 0, "a matrix has whole blocks")
    precondition(rows <= Int32.max && columns <= Int32.max, "a matrix has less than 2^31 rows and columns")
    let rowBytes = type.rowBytes(columns: columns)
    precondition(source.count == rows * rowBytes, "the source must be the whole matrix")
    let panelBytes = type.panelBytes(columns: columns)
    let panels = (rows + 15) / 16
    let storage = Buffer<UInt8>(count: panels * panelBytes)
    let packRange = { (range: Range<Int>) in
      guard let base = source.baseAddress else { return }
      for panel in range {
        sluice_pack_panel(
          type.kernelType, base + panel * 16 * rowBytes, Int32(min(16, rows - panel * 16)), Int32(columns),
          storage.pointer + panel * panelBytes)
      }
    }
    if let team { team.parallelFor(panels, packRange) } else { packRange(0..<panels) }
    self.type = type
    self.rows = rows
    self.columns = columns
    self.storage = storage
  }

  /// Writes one row as `columns` floats, as an embedding look-up needs it.
  package func copyRow(_ row: Int, to out: UnsafeMutablePointer<Float>) {
    precondition(row >= 0 && row < rows, "row out of range")
    let panel = storage.pointer + row / 16 * type.panelBytes(columns: columns)
    sluice_unpack_row(type.kernelType, panel, Int32(row % 16), Int32(columns), out)
  }
}

import Foundation
import Testing
import Weights

/// What came of using a model in every way.
struct Examination {
  var opened = false
  /// The errors of opening, of tensors and of the text of values, in their order.
  var errors: [WeightsError] = []
}

/// Opens a model and uses everything it offers: whatever the bytes, the result is in bounds or the typed error.
@discardableResult
func examine(_ path: String, _ comment: @autoclosure () -> String) -> Examination {
  var result = Examination()
  func check(_ condition: Bool, _ what: String) {
    if !condition { Issue.record("\(comment()): \(what)") }
  }
  func attempt(_ body: () throws -> Void) -> WeightsError? {
    do {
      try body()
      return nil
    } catch let error as WeightsError {
      check(!error.description.utf8.contains(UInt8(ascii: "\n")), "more than a line: \(error)")
      return error
    } catch {
      check(false, "\(error)")
      return nil
    }
  }
  let failure = attempt {
    let model = try WeightFile.open(path)
    result.opened = true
    for stored in model.storedTensors {
      let size = model.files[stored.fileIndex].bytes.count
      check(stored.byteRange.lowerBound >= 0 && stored.byteRange.upperBound <= size, "\(stored) in \(size)")
      let failure = attempt {
        let tensor = try model.tensor(stored.name)
        check(tensor.bytes.count == tensor.info.rows * tensor.info.rowBytes, "\(stored)")
        check(tensor.floats().map { $0.count == tensor.info.elementCount } ?? true, "\(stored)")
      }
      if let failure { result.errors.append(failure) }
    }
    let metadata = model.metadata
    for key in metadata.keys {
      // Only the kind that the value has: a throw is slow under test, and there would be thousands for each file.
      let failure = attempt {
        let summary = try metadata.summary(key)
        switch summary.first {
        case "\"": _ = try metadata.string(key)
        case "t", "f": _ = try metadata.bool(key)
        case "[" where summary.hasPrefix("[\""): _ = try metadata.strings(key)
        case "[" where summary.hasPrefix("[t") || summary.hasPrefix("[f"): _ = try metadata.bools(ifPresent: key)
        case "[" where !summary.hasSuffix("arrays]"): _ = try metadata.floats(key)
        case "[", "n": break
        default: _ = try metadata.double(key)
        }
      }
      if let failure { result.errors.append(failure) }
    }
  }
  if let failure { result.errors.append(failure) }
  return result
}

/// A file whose bytes are changed again and again.
final class ScratchFile {
  let path: String
  private let handle: FileHandle

  init(_ bytes: [UInt8], in folder: String, name: String) throws {
    path = folder + "/" + name
    try Data(bytes).write(to: URL(filePath: path))
    handle = try #require(FileHandle(forUpdatingAtPath: path))
  }

  func set(_ offset: Int, to byte: UInt8) throws {
    try handle.seek(toOffset: UInt64(offset))
    try handle.write(contentsOf: [byte])
  }

  func truncate(to count: Int) throws { try handle.truncate(atOffset: UInt64(count)) }
}

/// The bytes that take a byte's place: edges and single flipped bits.
func replacements(of byte: UInt8) -> Set<UInt8> {
  Set([0, 1, 0x7f, 0x80, 0xff] + (0..<8).map { byte ^ 1 << $0 }).subtracting([byte])
}

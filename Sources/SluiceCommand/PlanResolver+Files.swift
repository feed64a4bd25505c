import Engine
import Foundation
import KVCaches
import Models

extension PlanResolver {
  /// Reads the files that a specification names: who writes the command line may read them anyway.
  static let files = PlanResolver { path throws(KVCacheError) in
    try HeadMask(text: try text(of: path), name: path)
  }

  /// The largest file that is read.
  private static let largestFile = 1 << 20

  private static func text(of path: String) throws(KVCacheError) -> String {
    guard let file = fopen(path, "rb") else { throw unreadable(path) }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: largestFile + 1)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0 else { throw unreadable(path) }
    guard count <= largestFile else { throw .badSpecification(path, "is too large for a table of heads") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
      throw .badSpecification(path, "is no text")
    }
    return text
  }

  private static func unreadable(_ path: String) -> KVCacheError {
    .badSpecification(path, "cannot be read: \(String(cString: strerror(errno)))")
  }
}

extension KVCache.Plan {
  /// Throws what is wrong with a specification for every model, so that it is said before one is loaded.
  static func check(_ specification: String) throws(KVCacheError) {
    let anything = TrainedMemory(segments: TrainedMemory.Segments(size: 1))
    _ = try KVCache.Plan(specification, resolver: .files.model(anything))
  }
}

extension LanguageModel.Loaded {
  /// What the model's files declare that it was trained to remember with.
  var trainedMemory: TrainedMemory { engine.model.configuration.memory }

  /// The plan of a specification, where presets leave something open that of the model.
  func plan(_ specification: String) throws(KVCacheError) -> KVCache.Plan {
    try KVCache.Plan(specification, resolver: .files.model(trainedMemory))
  }
}

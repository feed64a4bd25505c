import Kernels
import Models
package import SessionStore
import Synchronization
import Tokenizers
import Weights

/// By what a stored session knows its model again: digests of weights, adapters and tokenizer.
///
/// Computed when first asked for, in some milliseconds. Of weights everything that describes them counts, and of each tensor
/// its start, its middle and its end: other weights differ everywhere, a file that was patched at one place may pass.
package final class ModelFingerprint: Sendable {
  private let file: WeightFile
  private let adapters: [LowRankAdapter]
  private let tokenizer: Tokenizer
  private let digests = Mutex<(model: String, tokenizer: String)?>(nil)
  /// The file's or folder's name, for people.
  package let name: String

  init(_ file: WeightFile, adapters: [LowRankAdapter], tokenizer: Tokenizer) {
    (self.file, self.adapters, self.tokenizer) = (file, adapters, tokenizer)
    name = file.path.split(separator: "/").last.map { String($0) } ?? file.path
  }

  /// That of a session of the model, whose cache is this.
  package func fingerprint(cache: String) -> Fingerprint {
    let digests = digests.withLock { digests in
      let known = digests ?? (Self.digest(file, adapters), Self.digest(tokenizer))
      digests = known
      return known
    }
    return Fingerprint(model: digests.model, tokenizer: digests.tokenizer, cache: cache)
  }

  private static func digest(_ file: WeightFile, _ adapters: [LowRankAdapter]) -> String {
    var hash = SHA256()
    hash.update(file)
    for adapter in adapters {
      hash.update("adapter \(adapter.scale)")
      hash.update(adapter.file)
    }
    return hash.text
  }

  private static func digest(_ tokenizer: Tokenizer) -> String {
    var hash = SHA256()
    for id in 0..<Int32(tokenizer.vocabularySize) {
      let piece = Array(tokenizer.piece(id))
      hash.update("\(piece.count) \(tokenizer.isSpecial(id))")
      piece.withUnsafeBytes { hash.update($0) }
    }
    return hash.text
  }
}

extension SHA256 {
  fileprivate mutating func update(_ text: String) { Array(text.utf8).withUnsafeBytes { update($0) } }

  fileprivate mutating func update(_ file: WeightFile) {
    if let path = file.companion("config.json"), let bytes = try? MappedFile.contents(of: path) {
      bytes.withUnsafeBytes { update($0) }
    }
    var headers = file.files.map(\.bytes.count)
    for tensor in file.storedTensors where !tensor.byteRange.isEmpty {
      update("\(tensor.name) \(tensor.type.name) \(tensor.shape) \(tensor.byteRange.count)")
      let bytes = file.files[tensor.fileIndex].bytes
      headers[tensor.fileIndex] = min(headers[tensor.fileIndex], tensor.byteRange.lowerBound)
      let (first, last) = (tensor.byteRange.lowerBound, tensor.byteRange.upperBound)
      for start in [first, (first + last) / 2, last - Self.sampleBytes] {
        let start = max(first, start)
        update(UnsafeRawBufferPointer(rebasing: bytes[start..<min(last, start + Self.sampleBytes)]))
      }
    }
    // All that stands before the first tensor describes them.
    for (file, count) in zip(file.files, headers) {
      update(UnsafeRawBufferPointer(rebasing: file.bytes[..<min(count, Self.headerBytes)]))
    }
  }

  private static var sampleBytes: Int { 1 << 10 }
  private static var headerBytes: Int { 64 << 20 }

  /// The digest so far in hexadecimal digits.
  fileprivate var text: String {
    finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}

import Engine
import Foundation
import TestSupport
import Testing

/// What a program sees of a model's odd files, and what the command says of it.
struct NoticeTests {
  /// The notices of a model that is written to a folder of its own.
  private func notices(
    name: String = "tiny.gguf", _ change: (inout GGUFWriter) -> Void = { _ in }
  ) async throws -> [String] {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var writer = TinyModel().writer()
    change(&writer)
    let path = try write(writer.bytes(), to: name, in: folder)
    return try await LanguageModel(path, options: LanguageModel.Options(threads: 1)).notices.map(\.description)
  }

  @Test func `a plain file has none`() async throws {
    #expect(try await notices() == [])
  }

  @Test func `what was left out is a warning that a program sees`() async throws {
    let found = try await notices { writer in
      writer.metadata = writer.metadata.map { $0.key.hasSuffix("eos_token_id") ? ($0.key, .uint32(.max)) : $0 }
    }
    #expect(found.count == 1 && found[0].hasPrefix("warning: the tokenizer's end-of-sequence token"), "\(found)")
  }

  @Test func `tensors of images and a blob's name are notes`() async throws {
    let name = "sha256-" + String(repeating: "0123456789abcdef", count: 4)
    let found = try await notices(name: name) { writer in
      writer.add("v.blk.0.attn_q.weight", [4, 4], [Float](repeating: 0, count: 16))
    }
    #expect(
      found == [
        "note: text part of a multimodal file; 1 tensor of images or sound ignored",
        "note: a blob as Ollama stores it, known by its contents",
      ])
  }
}

import Foundation
import Testing

@testable import KVCaches

/// To parse a specification reads nothing but the specification, whoever wrote it.
@Suite("Names in cache specifications")
struct PlanResolverTests {
  /// Every preset and every stage with every option, of which each is given the name.
  private static func specifications(naming name: String) -> [String] {
    let presets = Preset.all.map { (form: $0.form, options: $0.options) }
    let forms = presets + StageRegistry.all.map { (form: $0.form, options: $0.options) }
    return forms.flatMap { form, options in
      let head = form.prefix { $0 != ":" && $0 != "[" }
      let argument =
        form.contains("+") ? ":4+60" : form.contains("/LEVELS") ? ":512/4" : form.contains(":") ? ":512" : ""
      return Set(options + ["heads"]).sorted().flatMap { option in
        ["\(head)\(argument)[\(option)=\(name)]", "\(head)[\(option)=\(name)]", "\(head):\(name)", name]
      }
    }
  }

  private func failure(_ specification: String, _ resolver: PlanResolver = .none) -> String? {
    do throws(KVCacheError) {
      _ = try KVCache.Plan(specification, resolver: resolver)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("without a resolver a name is refused in a line")
  func refusal() {
    #expect(
      failure("duo-attention[heads=/etc/hostname]")
        == "cache 'heads=/etc/hostname': names a file, which is not read here")
    #expect(failure("duo-attention") != nil && failure("duo-attention[sparsity=0.5]") != nil)
  }

  @Test("a resolver is asked for what stands behind heads=, once, when all else is right")
  func asked() throws {
    let names = Names()
    let resolver = PlanResolver { name throws(KVCacheError) in
      names.append(name)
      return try HeadMask(text: "1 0", name: name)
    }
    for specification in Self.specifications(naming: "some/name") { _ = failure(specification, resolver) }
    #expect(names.all.isEmpty == false && names.all.allSatisfy { $0 == "some/name" })
    names.clear()
    for specification in [
      "duo-attention:2[heads=a]", "duo-attention[heads=a,sparsity=2]", "duo-attention[heads=a,heads=b]",
      "sinks:4,duo-attention[heads=a]", "snapkv[heads=adaptive]",
    ] {
      _ = failure(specification, resolver)
    }
    #expect(names.all.isEmpty)
    #expect(failure("duo-attention:2+9[heads=a b/c.tsv,sparsity=0.25]", resolver) == nil)
    #expect(names.all == ["a b/c.tsv"])
  }

  #if os(Linux)
    @Test("no preset and no stage opens a file without a resolver, or says what stands in one")
    func nothingIsOpened() throws {
      let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let file = folder.appending(path: "heads.tsv")
      try "canary 1\n0.5 canary\n".write(to: file, atomically: false, encoding: .utf8)
      let watch = inotify_init1(Int32(IN_NONBLOCK))
      try #require(watch >= 0 && inotify_add_watch(watch, file.path, UInt32(IN_OPEN)) >= 0)
      defer { close(watch) }
      for specification in Self.specifications(naming: file.path) {
        #expect(failure(specification)?.contains("canary") == false, "\(specification)")
      }
      var event = [UInt8](repeating: 0, count: 4096)
      #expect(read(watch, &event, event.count) < 0, "a file was opened")
      // The watch does see what it is to see.
      _ = try Data(contentsOf: file)
      #expect(read(watch, &event, event.count) > 0)
    }
  #endif
}

/// Names in the order in which they came.
private final class Names: @unchecked Sendable {
  private let lock = NSLock()
  private var names: [String] = []

  var all: [String] { lock.withLock { names } }
  func append(_ name: String) { lock.withLock { names.append(name) } }
  func clear() { lock.withLock { names = [] } }
}

import ArgumentParser
import Foundation
import Reproduction
import Testing

@testable import SluiceCommand

@Suite struct ReproduceCommandTests {
  @Test(
    "Every command of every experiment is one that this program takes",
    arguments: PublishedSystem.allCases, [ReproductionSetting.Extent.quick, .full])
  func commands(system: PublishedSystem, extent: ReproductionSetting.Extent) throws {
    let setting = ReproductionSetting(
      extent: extent, model: "m.gguf", threads: 1, recallAdapter: "adapter", infiniModel: "infini",
      texts: ["a.txt", "b.txt"])
    for experiment in system.experiments {
      for run in experiment.runs(setting) {
        #expect(throws: Never.self, "\(run.text)") { _ = try SluiceCommand.parseAsRoot(run.words) }
        #expect(run.words.last == "--json")
      }
    }
  }

  @Test("Wrong words are refused in a line")
  func refusals() throws {
    #expect(throws: (any Error).self) { try SluiceCommand.parseAsRoot(["reproduce", "flash"]) }
    #expect(throws: (any Error).self) { try SluiceCommand.parseAsRoot(["reproduce", "--threads", "0"]) }
    let folder = NSTemporaryDirectory() + "sluice-texts-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(throws: CommandError.self) { try TextFolder.files([folder]) }
    #expect(throws: CommandError.self) { try TextFolder.files([folder + "/none.txt"]) }
    for name in ["b.txt", "a.txt", "c.md"] {
      try "x".write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
    }
    #expect(try TextFolder.files([folder]) == [folder + "/a.txt", folder + "/b.txt"])
  }
}

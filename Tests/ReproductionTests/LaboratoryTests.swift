import Foundation
import ModelJSON
import Testing

@testable import Reproduction

@Suite struct LaboratoryTests {
  private let folder = NSTemporaryDirectory() + "sluice-laboratory-\(UUID().uuidString)"

  private func laboratory(
    _ output: @escaping (SluiceRun) throws(RunError) -> String, origin: String = "a", usesKept: Bool = true,
    setting: ReproductionSetting = ReproductionSetting(extent: .quick, texts: ["t.txt"])
  ) throws -> Laboratory {
    Laboratory(
      setting: setting, archive: try RunArchive(folder: folder, origin: origin), usesKept: usesKept,
      execute: { run throws(RunError) in (try output(run), 1.5) })
  }

  private let experiment = Experiment(
    "sum", title: "", claim: "", differences: "", needs: [.texts],
    runs: { _ in [SluiceRun(["one", "--json"]), SluiceRun(["two 'words'", "--json"])] },
    read: { results throws(RunError) in
      let sum = try results[0].number("value") + results[1].number("value", line: 1)
      return Findings([.number("sum", published: 5, measured: sum)])
    })

  private static func output(_ run: SluiceRun) -> String {
    run.words[0] == "one" ? "{\"value\": 2}\n" : "{\"value\": 0}\n{\"value\": 3}\n"
  }

  @Test("What was measured is not measured again, unless something it depends on changed")
  func resumes() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var ran: [String] = []
    func perform(origin: String, usesKept: Bool) throws -> Double? {
      let laboratory = try laboratory(
        { run in
          ran.append(run.words[0])
          return Self.output(run)
        }, origin: origin, usesKept: usesKept)
      guard case .found(let findings, let results) = laboratory.perform(experiment, announce: { _, _, _ in }) else {
        return nil
      }
      #expect(results.map(\.seconds) == [1.5, 1.5])
      return findings.rows[0].ratio
    }
    #expect(try perform(origin: "a", usesKept: true) == 1)
    #expect(ran == ["one", "two 'words'"])
    #expect(try perform(origin: "a", usesKept: true) == 1)
    #expect(ran.count == 2)
    #expect(try perform(origin: "b", usesKept: true) == 1)
    #expect(ran.count == 4)
    #expect(try perform(origin: "b", usesKept: false) == 1)
    #expect(ran.count == 6)
  }

  @Test("A kept file that is broken, cut or of other words is measured anew")
  func distrustsFiles() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let run = SluiceRun(["one", "--json"])
    let archive = try RunArchive(folder: folder, origin: "a")
    try archive.keep(RunResult(run: run, lines: [["value": 2]], seconds: 1))
    #expect(archive.result(of: run)?.lines.count == 1)
    let path = folder + "/runs/\(run.key).json"
    let whole = try String(contentsOfFile: path, encoding: .utf8)
    for text in ["", "{", String(whole.dropLast(9)), whole.replacing("\"one\"", with: "\"two\""), "[]"] {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(archive.result(of: run) == nil)
    }
  }

  @Test("What is missing, fails or prints something else is said")
  func failures() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let bare = try laboratory(Self.output, setting: ReproductionSetting(extent: .quick))
    guard case .needs([.texts]) = bare.perform(experiment, announce: { _, _, _ in }) else {
      Issue.record("it runs without texts")
      return
    }
    let outputs = ["no JSON", "{\"other\": 1}\n", ""]
    for text in outputs {
      let laboratory = try laboratory({ _ in text }, usesKept: false)
      guard case .failed = laboratory.perform(experiment, announce: { _, _, _ in }) else {
        Issue.record("'\(text)' is taken for a result")
        return
      }
    }
    let failing = try laboratory(
      { run throws(RunError) in throw .failed(run, message: "no such model") }, usesKept: false)
    guard case .failed(let error) = failing.perform(experiment, announce: { _, _, _ in }) else { return }
    #expect("\(error)" == "'sluice one --json' failed: no such model")
  }

  @Test("Commands read as they are typed")
  func quoting() {
    #expect(SluiceRun(["a", "k[b=1]", "it's", ""]).text == #"sluice a 'k[b=1]' 'it'\''s' ''"#)
    #expect(SluiceRun(["a b"]).key != SluiceRun(["a", "b"]).key)
  }
}

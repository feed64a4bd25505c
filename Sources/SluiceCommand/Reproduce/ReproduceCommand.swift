import ArgumentParser
import Evaluation
import Foundation
import ModelJSON
import Reproduction

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Set the published figures of the systems built in here beside this engine's.",
    discussion: """
      Runs this program's own measuring commands, reads what they print, and writes a page (report.html), the same as JSON \
      (report.json) and as a table (report.md). Every figure stands with the command it came from.

      What was run is kept in the folder: the same command, program, model file and machine are not measured again, so that a \
      run that was interrupted goes on where it was. --again measures anew.

      Experiments over texts want long ones, such as novels: --text FILE or a folder of them. Experiments that look for \
      numbers want an adapter that has a small model find them. What is missing is said, not left out.
      """)

  @Argument(help: "Systems: \(systemNames); all without one.")
  var systems: [String] = []
  @Flag(name: .long, help: "Fewer cases and shorter texts: under a quarter of an hour.")
  var quick = false
  @Option(name: [.short, .long], help: ArgumentHelp("The model, as 'sluice run' takes it.", valueName: "model"))
  var model: String?
  @Option(name: [.short, .long], help: "Threads that compute; all CPUs without it.")
  var threads: Int?
  @Option(
    name: .long, help: ArgumentHelp("A text, or a folder of .txt files; may be given several times.", valueName: "path")
  )
  var text: [String] = []
  @Option(name: .long, help: ArgumentHelp("An adapter for experiments that look for numbers.", valueName: "path"))
  var recallAdapter: String?
  @Option(name: .long, help: ArgumentHelp("A model with a compressive memory.", valueName: "path"))
  var infiniModel: String?
  @Option(name: .long, help: "Where results and the report go.")
  var folder = "sluice-reproduction"
  @Flag(name: .long, help: "Measure anew what was measured before.")
  var again = false
  @Flag(name: .long, help: "Print the experiments and their commands, and run nothing.")
  var list = false
  @Flag(name: .long, help: "Print the report as JSON instead of tables.")
  var json = false

  private static let systemNames = PublishedSystem.allCases.map(\.name).joined(separator: ", ")

  func validate() throws {
    for name in systems where PublishedSystem(rawValue: name) == nil {
      throw ValidationError("there is no system '\(name)'; there are \(Self.systemNames)")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, but are \(threads)")
    }
  }

  func run() throws {
    let chosen = PublishedSystem.allCases.filter { systems.isEmpty || systems.contains($0.name) }
    var setting = ReproductionSetting(
      extent: quick ? .quick : .full, model: model, threads: threads, recallAdapter: recallAdapter,
      infiniModel: infiniModel, texts: try TextFolder.files(text))
    for path in [recallAdapter, infiniModel].compactMap({ $0 }) {
      guard FileManager.default.fileExists(atPath: path) else { throw CommandError("\(path): there is no such file") }
    }
    if list { return Self.list(chosen, setting) }

    let origin = try ReproductionOrigin(model: model)
    let archive = try RunArchive(folder: folder, origin: origin.key)
    let child = try ChildCommand()
    setting.speed = try Self.speed(setting, archive, child, usesKept: !again)
    let laboratory = Laboratory(
      setting: setting, archive: archive, usesKept: !again,
      execute: { run throws(RunError) in try child.output(of: run) })
    var report = ReproductionReport(origin: origin.lines + [("extent", setting.extent.rawValue)])
    for system in chosen {
      for experiment in system.experiments {
        let outcome = laboratory.perform(experiment) { run, index, count in
          StandardError.write("\(system.name) \(experiment.name) \(index)/\(count): \(run.text)\n")
        }
        let part = ReproductionReport.Part(system: system, experiment: experiment, outcome: outcome)
        report.append(part)
        if !json { StandardOutput.write(part.lines.joined(separator: "\n") + "\n") }
      }
    }
    try OutputFile.write(report.page, to: folder + "/report.html")
    try OutputFile.write(report.markdown, to: folder + "/report.md")
    try OutputFile.write(report.json.text + "\n", to: folder + "/report.json")
    if json {
      StandardOutput.write(report.json.text + "\n")
    } else {
      StandardOutput.write(
        "\(report.count(.passed)) passed, \(report.count(.met)) met, \(report.count(.missed)) missed; the report is in "
          + "\(folder)/report.html\n")
    }
    if report.hasFailures { throw ExitCode(1) }
  }

  /// How fast the machine reads beside the one that a quick run was fitted to (2,500 tokens a second).
  private static func speed(
    _ setting: ReproductionSetting, _ archive: RunArchive, _ child: ChildCommand, usesKept: Bool
  ) throws -> Double {
    let laboratory = Laboratory(
      setting: setting, archive: archive, usesKept: usesKept,
      execute: { run throws(RunError) in try child.output(of: run) })
    return try laboratory.readingSpeed() / 2500
  }

  private static func list(_ systems: [PublishedSystem], _ setting: ReproductionSetting) {
    for system in systems {
      for experiment in system.experiments {
        StandardOutput.write("\(system.name) \(experiment.name): \(experiment.title)\n")
        let missing = setting.missing(for: experiment)
        guard missing.isEmpty else {
          StandardOutput.write("  needs \(missing.map(\.option).joined(separator: ", "))\n")
          continue
        }
        for run in experiment.runs(setting) { StandardOutput.write("  \(run.text)\n") }
      }
    }
  }
}

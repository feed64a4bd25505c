import ArgumentParser
import Engine
import Foundation
import Kernels

/// What ran: the program, the model file and the machine.
struct ReproductionOrigin {
  let lines: [(name: String, value: String)]

  /// Results are kept as long as none of it changes.
  var key: String { lines.map { "\($0.name) \($0.value)" }.joined(separator: "; ") }

  /// - Throws: where there is no such model.
  init(model: String?) throws {
    let path = try ModelLocator.path(of: model)
    let program = Bundle.main.executableURL?.path ?? ""
    lines = [
      ("program", "sluice \(SluiceCommand.configuration.version), \(Self.stamp(program))"),
      ("model", "\(FilePath.name(of: path)), \(Self.stamp(path))"),
      (
        "processor",
        "\(Self.processor), \(ProcessInfo.processInfo.activeProcessorCount) CPUs, \(InstructionSet.current.name)"
      ),
    ]
  }

  /// Size and time of a file, which change with what is in it.
  private static func stamp(_ path: String) -> String {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    let size = (attributes?[.size] as? NSNumber)?.int64Value ?? 0
    let date = attributes?[.modificationDate] as? Date ?? Date(timeIntervalSince1970: 0)
    return "\(size) bytes of \(date.formatted(.iso8601))"
  }

  private static var processor: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
  }
}

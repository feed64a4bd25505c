import Foundation
import ModelJSON
import TestSupport

@testable import ChatTemplates

/// What Scripts/record-templates.py recorded of Jinja2.
enum GoldenTemplates {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent()

  static func json(_ name: String) throws -> JSONValue {
    try JSONValue(parsing: [UInt8](Data(contentsOf: directory.appending(path: "Golden/\(name)"))))
  }

  /// The time that the script tells templates.
  static let time = TemplateTime("2026-11-29T21:10:35")

  struct Rendering {
    let template: String
    let conversation: String
    /// The bytes of the text and their FNV-1a, or "error" and its kind.
    let result: [String]
  }

  static func renderings() throws -> [Rendering] {
    let text = try String(contentsOf: directory.appending(path: "Golden/renderings.tsv"), encoding: .utf8)
    return text.split(separator: "\n").map { line in
      let fields = line.split(separator: "\t").map(String.init)
      return Rendering(template: fields[0], conversation: fields[1], result: Array(fields[2...]))
    }
  }

  /// The text of a template: our own, or one of the assets; nil where these are not here.
  static func source(_ name: String) -> String? {
    let own = directory.appending(path: "Templates/\(name).jinja").path
    let assets = Assets.directory.map { _ in Assets.path("chat-templates/\(name).jinja") }
    for path in [own, assets].compactMap({ $0 }) {
      if let data = FileManager.default.contents(atPath: path) { return String(decoding: data, as: UTF8.self) }
    }
    return nil
  }

  static func fingerprint(_ text: String) -> [String] {
    var value: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(value, radix: 16)
    return ["\(text.utf8.count)", String(repeating: "0", count: 16 - digits.count) + digits]
  }

  /// What a template writes, or the kind of its error.
  static func result(_ source: String, _ variables: JSONValue) -> Result<String, TemplateError> {
    do {
      let template = try ChatTemplate(source)
      let variables = RenderingVariables(variables.object ?? JSONObject(), time: time)
      return .success(try template.render(variables).text)
    } catch {
      return .failure(error)
    }
  }
}

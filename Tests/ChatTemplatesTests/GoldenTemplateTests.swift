import ModelJSON
import TestSupport
import Testing

@testable import ChatTemplates

/// Templates beside Jinja2, byte for byte.
@Suite struct GoldenTemplateTests {
  @Test func `small templates of one feature each`() throws {
    let entries = try #require(try GoldenTemplates.json("features.json").array)
    let variables = entries[0]
    #expect(entries.count > 250)
    for entry in entries.dropFirst() {
      let source = try #require(entry["template"]?.string)
      switch GoldenTemplates.result(source, variables) {
      case .success(let text):
        // Swift's == would hold a composed and a decomposed character for one.
        #expect(entry["text"]?.string.map { Array($0.utf8) } == Array(text.utf8), "\(source) wrote \(text)")
      case .failure(let error):
        #expect(entry["error"]?.string == error.kind.rawValue, "\(source) failed: \(error)")
        #expect(error.line > 0 && error.column > 0, "\(source) failed without a place: \(error)")
      }
    }
  }

  /// Our own templates always, those of the assets where they are.
  @Test func `conversations through whole templates`() throws {
    let conversations = try GoldenTemplates.json("conversations.json")
    var templates: [String: ChatTemplate] = [:]
    var compared = 0
    for rendering in try GoldenTemplates.renderings() {
      if templates[rendering.template] == nil {
        guard let source = GoldenTemplates.source(rendering.template) else { continue }
        templates[rendering.template] = try ChatTemplate(source, name: rendering.template)
      }
      let template = try #require(templates[rendering.template])
      let variables = RenderingVariables(
        try #require(conversations[rendering.conversation]?.object), time: GoldenTemplates.time)
      let place = "Scripts/record-templates.py ASSETS --show \(rendering.template) \(rendering.conversation)"
      do {
        let text = try template.render(variables).text
        #expect(GoldenTemplates.fingerprint(text) == rendering.result, "compare with \(place):\n\(text)")
      } catch {
        #expect(["error", error.kind.rawValue] == rendering.result, "\(place): \(error)")
      }
      compared += 1
    }
    #expect(compared > 0)
  }
}

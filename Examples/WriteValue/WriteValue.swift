import Sluice

/// A dish as a model describes it; the schema follows from the members.
struct Dish: Generable {
  enum Course: String, Generable, CaseIterable { case starter, main, dessert }
  let name: String
  let course: Course
  let minutes: UInt8
  let isVegetarian: Bool

  /// As the default, but for a name that ends: small models do not see for themselves when to.
  static var schema: Schema {
    .object([
      "name": .string(minLength: 1, maxLength: 40), "course": .choice(of: Course.allCases.map(\.rawValue)),
      "minutes": .integer(in: 1...240), "isVegetarian": .boolean,
    ])
  }
}

/// Has a model describe a dish: `WriteValue [MODEL]`, with the default model where none is named.
@main
struct WriteValue {
  static func main() async {
    do {
      let model = try await LanguageModel(CommandLine.arguments.dropFirst().first)
      let session = LanguageModelSession(model: model)
      let dish = try await session.respond(
        to: "Describe a soup as JSON with name, course, minutes and isVegetarian.", generating: Dish.self,
        options: GenerationOptions(sampling: .greedy, maximumResponseTokens: 300))
      print("\(dish.name): \(dish.course), \(dish.minutes) minutes, \(dish.isVegetarian ? "vegetarian" : "with meat")")
    } catch {
      print(error)  // One line: what is wrong, or how to get the default model.
    }
  }
}

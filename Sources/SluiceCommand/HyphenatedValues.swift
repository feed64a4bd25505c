/// Values of options that begin with a hyphen, as texts and negative numbers do.
enum HyphenatedValues {
  /// Options that take a value, by their names; a short name has the long one beside it.
  private static let names: [String: String] = {
    let short = ["-p": "--prompt", "-f": "--file", "-m": "--model"]
    let long = [
      "prompt", "file", "model", "stop", "system", "question", "output", "plot", "heads", "cache", "lora", "temp",
      "top-k",
      "top-p", "min-p", "repeat-penalty", "repeat-last-n", "presence-penalty", "frequency-penalty",
    ].map { "--" + $0 }
    return short.merging(long.map { ($0, $0) }) { first, _ in first }
  }()

  /// Arguments in which such a value stands behind an equals sign, where it cannot be taken for an option.
  ///
  /// What follows an option that takes a value is its value, whatever it looks like.
  static func joined(_ arguments: [String]) -> [String] {
    var result: [String] = []
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      if argument == "--" { return result + [argument] + rest }
      guard let name = names[argument], let value = rest.first, value.hasPrefix("-"), value != "-" else {
        result.append(argument)
        if names[argument] != nil, let value = rest.popFirst() { result.append(value) }
        continue
      }
      rest.removeFirst()
      result.append("\(name)=\(value)")
    }
    return result
  }
}

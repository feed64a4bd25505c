extension Preset {
  /// Whether the preset's budget can differ from layer to layer: its argument begins with a budget that bounds it.
  var takesPyramid: Bool { form.contains(":BUDGET") && name != "quest" }

  var knownOptions: [String] { takesPyramid ? options + ["layers"] : options }

  /// The division that the option `layers=pyramid` asks for, nil without it.
  func pyramid(_ parameters: StageParameters) throws(KVCacheError) -> HeadDivision? {
    guard let text = parameters.options["layers"] else { return nil }
    guard text == "pyramid" else { throw parameters.fail("layers must be pyramid, but is '\(text)'") }
    guard let argument = parameters.argument else { throw parameters.fail("layers=pyramid needs a budget") }
    let digits = argument.prefix { $0.isNumber }
    let mean = try parameters.number(digits, "budget", in: 1...StageParameters.largestCount)
    let rest = argument.dropFirst(digits.count)
    let stages = stages
    return HeadDivision(
      description: parameters.text,
      rule: .pyramid(mean: mean) { budget throws(KVCacheError) in
        let part = StageParameters(text: parameters.text, argument: "\(budget)\(rest)", options: parameters.options)
        return try stages(part)
      })
  }
}

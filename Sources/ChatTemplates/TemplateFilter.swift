/// Filters by Jinja2's names. Left out are those for web pages and reports that no chat template uses (`urlize`,
/// `urlencode`, `xmlattr`, `striptags`, `wordwrap`, `filesizeformat`, `pprint`) and `random`; `from_json` is added.
enum TemplateFilter: String {
  case abs, attr, batch, capitalize, center, count, d, `default`, dictsort, e, escape, first, float, forceescape
  case format, groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject, rejectattr
  case replace, reverse, round, safe, select, selectattr, slice, sort, string, sum, title, tojson, trim, truncate
  case unique, upper, wordcount
  case fromJSON = "from_json"
}

extension TemplateEvaluator {
  func apply(
    _ filter: TemplateFilter, to value: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    try step()
    switch filter {
    case .capitalize, .center, .e, .escape, .forceescape, .format, .indent, .lower, .replace, .safe, .string, .title,
      .trim, .truncate, .upper, .wordcount:
      return try applyTextFilter(filter, to: value, arguments)
    case .batch, .dictsort, .first, .groupby, .items, .join, .last, .list, .max, .min, .reverse, .slice, .sort, .sum,
      .unique:
      return try applySequenceFilter(filter, to: value, arguments)
    case .map, .reject, .rejectattr, .select, .selectattr:
      return try applySelection(filter, to: value, arguments)
    case .abs, .float, .int, .round: return try applyNumberFilter(filter, to: value, arguments)
    case .count, .length:
      _ = try bind(arguments, [], of: filter.rawValue)
      return .integer(try length(of: value))
    case .d, .default:
      let values = try bind(arguments, ["default_value", "boolean"], of: filter.rawValue)
      let isMissing = value.isUndefined || (values[1]?.isTrue ?? false) && !value.isTrue
      return isMissing ? values[0] ?? .text("") : value
    case .attr:
      let name = try string(bind(arguments, ["name"], required: 1, of: "attr")[0])
      if case .dictionary = value, DictionaryMethod(rawValue: name.string) == nil {
        return .undefined("'dict object' has no attribute '\(name.string)'")
      }
      return try attribute(name, of: value)
    case .tojson: return .text(try json(of: value, style: try jsonStyle(arguments)))
    case .fromJSON: return try fromJSON(value, arguments)
    }
  }

  private func jsonStyle(_ arguments: TemplateArguments) throws(TemplateError) -> JSONStyle {
    let values = try bind(arguments, ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
    var style = JSONStyle(
      isASCII: values[0]?.isTrue ?? false, itemSeparator: ", ", keySeparator: ": ",
      sortsKeys: values[3]?.isTrue ?? false)
    switch values[1] {
    case nil, .some(.none): break
    case .text(let text):
      style.indent = text
      style.itemSeparator = ","
    case let width?:
      let width = try integer(width, default: 0)
      try charge(max(0, width))
      style.indent = MarkedText(units: [UInt32](repeating: 0x20, count: max(0, width)))
      style.itemSeparator = ","
    }
    switch values[2] {
    case nil, .some(.none): break
    case let separators?:
      let parts = try elements(of: separators)
      guard parts.count == 2 else { throw failure(.type, "separators must be two strings") }
      style.itemSeparator = try string(parts[0])
      style.keySeparator = try string(parts[1])
    }
    return style
  }
}

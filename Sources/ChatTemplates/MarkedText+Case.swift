extension MarkedText {
  /// `str.upper`.
  var uppercased: MarkedText {
    var result: [UInt32] = []
    result.reserveCapacity(count)
    for unit in units { PythonScalars.uppercase(unit, to: &result) }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// `str.lower`; a capital sigma at the end of a word becomes the final form.
  var lowercased: MarkedText {
    var result: [UInt32] = []
    result.reserveCapacity(count)
    for index in units.indices { appendLowercase(index, to: &result) }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  private func appendLowercase(_ index: Int, to result: inout [UInt32]) {
    guard self[index] == 0x3a3 else { return PythonScalars.lowercase(units[index], to: &result) }
    var before = index - 1
    while before >= 0, isIgnorable(before) { before -= 1 }
    var after = index + 1
    while after < count, isIgnorable(after) { after += 1 }
    let isFinal =
      before >= 0 && PythonScalars.isCased(self[before]) && !(after < count && PythonScalars.isCased(self[after]))
    result.append((isFinal ? 0x3c2 : 0x3c3) | units[index] & Self.contentBit)
  }

  private func isIgnorable(_ index: Int) -> Bool { Unicode.Scalar(self[index])?.properties.isCaseIgnorable ?? false }

  /// `str.capitalize`: the first scalar in title case, the others in lower case.
  var capitalized: MarkedText {
    var result: [UInt32] = []
    for index in units.indices {
      if index == 0 {
        PythonScalars.titlecase(units[0], to: &result)
      } else {
        appendLowercase(index, to: &result)
      }
    }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// `str.title`: a cased scalar after an uncased one in title case, the others in lower case.
  var titled: MarkedText {
    var result: [UInt32] = []
    var afterCased = false
    for index in units.indices {
      if afterCased {
        appendLowercase(index, to: &result)
      } else {
        PythonScalars.titlecase(units[index], to: &result)
      }
      afterCased = PythonScalars.isCased(units[index])
    }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// `str.swapcase`.
  var caseSwapped: MarkedText {
    var result: [UInt32] = []
    for (index, unit) in units.enumerated() {
      if PythonScalars.isUppercase(unit) {
        appendLowercase(index, to: &result)
      } else if PythonScalars.isLowercase(unit) {
        PythonScalars.uppercase(unit, to: &result)
      } else {
        result.append(unit)
      }
    }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// Jinja's filter `title`: the first scalar after hyphens, space or opening brackets in upper case.
  var titledByWords: MarkedText {
    var result: [UInt32] = []
    var isStart = true
    for unit in units {
      let scalar = unit & Self.scalarMask
      let separates = PythonScalars.isSpace(unit) || [0x2d, 0x28, 0x7b, 0x5b, 0x3c].contains(scalar)
      if separates {
        result.append(unit)
      } else if isStart {
        PythonScalars.uppercase(unit, to: &result)
      } else {
        PythonScalars.lowercase(unit, to: &result)
      }
      isStart = separates
    }
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// `str.isupper`, and `islower` the other way round: some scalar is cased, and none of the wrong case.
  var isUppercase: Bool {
    units.contains(where: PythonScalars.isUppercase)
      && !units.contains { PythonScalars.isLowercase($0) || PythonScalars.isTitlecase($0) }
  }

  var isLowercase: Bool {
    units.contains(where: PythonScalars.isLowercase)
      && !units.contains { PythonScalars.isUppercase($0) || PythonScalars.isTitlecase($0) }
  }

  /// `str.istitle`.
  var isTitlecase: Bool {
    var afterCased = false
    var hasCased = false
    for unit in units {
      if PythonScalars.isUppercase(unit) || PythonScalars.isTitlecase(unit) {
        if afterCased { return false }
        afterCased = true
        hasCased = true
      } else if PythonScalars.isLowercase(unit) {
        guard afterCased else { return false }
        hasCased = true
      } else {
        afterCased = false
      }
    }
    return hasCased
  }

  func isAll(_ property: (UInt32) -> Bool) -> Bool { !isEmpty && units.allSatisfy(property) }
}

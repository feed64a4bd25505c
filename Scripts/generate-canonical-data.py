#!/usr/bin/env python3
"""Writes Sources/Tokenizers/CanonicalData.swift: canonical decompositions and combining classes.

Usage: generate-canonical-data.py > Sources/Tokenizers/CanonicalData.swift

Takes the Unicode data of the package `unicodedata2` where it is installed, else of the standard library.
Hangul syllables are left out: arithmetic gives theirs.
"""

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    text = ""
    while True:
        text = DIGITS[number % 36] + text
        number //= 36
        if number == 0:
            return text


def decompositions():
    previous = 0
    for scalar in range(0x110000):
        mapping = unicodedata.decomposition(chr(scalar))
        if not mapping or mapping.startswith("<") or 0xAC00 <= scalar < 0xD7A4:
            continue
        parts = [int(part, 16) for part in mapping.split()]
        # What does not come back when it is composed again is excluded from composition.
        mark = "+" if unicodedata.normalize("NFC", chr(scalar)) == chr(scalar) else "-"
        if len(parts) == 1:
            yield f"{base36(scalar - previous)}={base36(parts[0])}"
        else:
            yield f"{base36(scalar - previous)}={base36(parts[0])}{mark}{base36(parts[1])}"
        previous = scalar


def combining_classes():
    previous, run = 0, None
    for scalar in range(0x110000):
        value = unicodedata.combining(chr(scalar))
        if run and (value != run[2] or scalar != run[0] + run[1]):
            yield f"{base36(run[0] - previous)}*{base36(run[1])}={base36(run[2])}"
            previous, run = run[0], None
        if value:
            run = (run[0], run[1] + 1, value) if run else (scalar, 1, value)


def wrapped(entries):
    line = ""
    for entry in entries:
        if len(line) + len(entry) + 1 > 112:
            yield line
            line = ""
        line += (" " if line else "") + entry
    yield line


def main():
    print("/// Unicode's canonical mappings; written by Scripts/generate-canonical-data.py, not by hand.")
    print("enum CanonicalData {")
    print("  /// The version of Unicode that the data was made from.")
    print(f'  static let unicodeVersion = "{unicodedata.unidata_version}"')
    print()
    print("  /// Scalars as distances from the one before, in base 36, each with its one or two scalars in base 36; between")
    print("  /// two stands a plus where they compose again.")
    print('  static let decompositions: StaticString = """')
    for line in wrapped(decompositions()):
        print("    " + line)
    print('    """')
    print()
    print("  /// Runs of scalars with a combining class: distance from the start of the run before, length, class.")
    print('  static let combiningClasses: StaticString = """')
    for line in wrapped(combining_classes()):
        print("    " + line)
    print('    """')
    print("}")


main()

#!/usr/bin/env python3
"""Writes Sources/Tokenizers/ScalarClassRuns.swift: the class of every Unicode scalar as run lengths.

Usage: generate-scalar-classes.py > Sources/Tokenizers/ScalarClassRuns.swift

Takes the Unicode data of the package `unicodedata2` where it is installed, else of the standard library.
"""

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

LETTER, NUMBER, SPACE, MARK, PUNCTUATION, SYMBOL, UPPER, LOWER = (1 << bit for bit in range(8))

BY_CATEGORY = {
    "Lu": LETTER | UPPER, "Lt": LETTER | UPPER, "Ll": LETTER | LOWER, "Lm": LETTER, "Lo": LETTER,
    "Nd": NUMBER, "Nl": NUMBER, "No": NUMBER, "Mn": MARK, "Mc": MARK, "Me": MARK,
    "Pc": PUNCTUATION, "Pd": PUNCTUATION, "Ps": PUNCTUATION, "Pe": PUNCTUATION,
    "Pi": PUNCTUATION, "Pf": PUNCTUATION, "Po": PUNCTUATION,
    "Sm": SYMBOL, "Sc": SYMBOL, "Sk": SYMBOL, "So": SYMBOL,
}
# The property White_Space; str.isspace() would add the separators U+001C to U+001F.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def scalar_class(scalar):
    return BY_CATEGORY.get(unicodedata.category(chr(scalar)), 0) | (SPACE if scalar in WHITE_SPACE else 0)


def runs():
    start, current = 0, scalar_class(0)
    for scalar in range(1, 0x110000):
        following = scalar_class(scalar)
        if following != current:
            yield current, scalar - start
            start, current = scalar, following
    yield current, 0x110000 - start


def main():
    everything = list(runs())
    letters = {value: chr(ord("a") + index) for index, value in enumerate(sorted({value for value, _ in everything}))}
    text = "".join(letters[value] + (str(length) if length > 1 else "") for value, length in everything)
    print("/// The classes of all Unicode scalars as runs; written by Scripts/generate-scalar-classes.py, not by hand.")
    print("enum ScalarClassRuns {")
    print("  /// The version of Unicode that the runs were made from.")
    print(f'  static let unicodeVersion = "{unicodedata.unidata_version}"')
    print()
    print("  /// What each letter of `runs` stands for, from `a` on: the bits of `ScalarClass`.")
    print(f"  static let classes: [UInt8] = {sorted(letters)}")
    print()
    print("  /// A letter for the class, then the number of scalars in the run where it is not 1; line ends mean nothing.")
    print('  static let runs: StaticString = """')
    for start in range(0, len(text), 112):
        print("    " + text[start:start + 112])
    print('    """')
    print("}")


main()

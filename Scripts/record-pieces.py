"""Records how the regular expressions of pre-tokenizers cut text, as the `regex` package runs them.

Writes Tests/Golden/tokenizers/pieces.json: texts, and for each of GGUF's names the pieces of every text. A name stands for
several expressions where each cuts the pieces of the one before. Run from the root: python3 Scripts/record-pieces.py
"""

import json
import pathlib
import random

import regex

ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACE = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACE
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def cased(endings, digits, after, han=""):
    upper, lower = (f"(?:(?!{han}){s})" if han else s for s in (UPPER, LOWER))
    before = r"[^\r\n\p{L}\p{N}]?"
    return (
        f"{before}{upper}*{lower}+{endings}|{before}{upper}+{lower}*{endings}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+{after}|" + SPACE)


GPT4O = cased(ENDINGS + "?", r"\p{N}{1,3}", r"[\r\n/]*")
DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|" + SPACE)
SPARK = DEEPSEEK3.replace(r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r"[\p{P}\p{S}]+|[\r\n]")
HAN_AND_KANA = "[一-龥぀-ゟ゠-ヿ]+"
ASIAN = (
    "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff"
    "\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+")
PATTERNS = {
    "gpt-2": [GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [LLAMA3.replace("{1,3}", "")],
    "gpt-4o": [GPT4O],
    "tekken": [cased("", r"\p{N}", r"[\r\n/]*")],
    "deepseek-v3": [r"\p{N}{1,3}", HAN_AND_KANA, DEEPSEEK3],
    "kimi-k2": [r"\p{Han}+|" + cased(ENDINGS + "?", r"\p{N}{1,3}", r"[\r\n]*", r"\p{Han}")],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O],
    "superbpe": [r"\p{N}+", r"(?=(?:\d{3})+(?!\d))"],
    "afmoe": [r"\p{N}+", r"(?=(?:\p{N}{3})+(?!\p{N}))", ASIAN, DEEPSEEK3],
    "exaone-moe": [
        ENDINGS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "chameleon": [
        "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", r"[\t\n]|    |  ", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "spark2_5": [r"\p{N}{1,3}", HAN_AND_KANA, SPARK, r"\p{N}"],
}


def cut(pieces, pattern):
    """Every match set apart, and what lies between matches; an empty match is a cut."""
    result = []
    for piece in pieces:
        ends = sorted({end for match in regex.finditer(pattern, piece) for end in match.span()} | {len(piece)})
        start = 0
        for end in ends:
            if end > start:
                result.append(piece[start:end])
                start = end
    return result


FIXED = [
    "", " ", "it's we'Ll I'D isn'T", "The quick  brown\n\n fox", "1", "12", "123", "1234", "1234567 12345678", "12a 1234b",
    "x1234567", "a_12 12_b 3.1415926", "你好world 你好  世界,好", "〇12 ⺀!⺀ 々々", "<sentinel:12><sentinel:> IMGIMGABZ IMGIMGZ",
    "IMGIMGABCDEZ\t\t\n    x     y", "a  \r\n\r\n b\n", "!!\n\n//\n/x", "e\u0301te\u0301 x\u0301 y", "٣٤٥٦٧ ²345² 12²",
    "def f(self):\n        return 1000000\n", "สวัสดี ไทย ᄀᄁ 가나", "HTTPServer camelCase ǅx", "the  quick\u3000x \u00a0y",
    "don't stop 'the' ' s", "1 234 567,89 12345", "你a你", "a b c  d e\tf g.h",
]
POOL = (
    list("abcxyzABCXYZ") * 2 + list("0123456789") * 2 + list("    \n\n\r\t'") + list(".,!?/<>_-:()$") + list("stld")
    + list("éßñǅжЖ你好世あア가ไ๑٣²½〇々⺀\u0301\u0309\u200d\u3000\u00a0😀…—"))


def main():
    generator = random.Random(7)
    texts = FIXED + ["".join(generator.choices(POOL, k=generator.randint(1, 40))) for _ in range(120)]
    cases = {}
    for name, patterns in PATTERNS.items():
        cases[name] = []
        for text in texts:
            pieces = [text]
            for pattern in patterns:
                pieces = cut(pieces, pattern)
            cases[name].append([len(piece.encode()) for piece in pieces if piece])
    path = pathlib.Path("Tests/Golden/tokenizers/pieces.json")
    path.write_text(json.dumps({"texts": texts, "pieces": cases}, ensure_ascii=True, separators=(",", ":")) + "\n")


main()

#!/usr/bin/env python3
"""Writes Tests/ConstraintsTests/Golden/documents.jsonl: random schemas, documents, and what Python's jsonschema says of each.

Needs `pip install jsonschema==4.23.0`. A line is {"schema": ..., "valid": [document, ...], "invalid": [document, ...]}, each document the
text of one. Schemas and documents stay within what automaton and validator are to agree on: members in their order, none that are not
asked for, plain numbers, one spelling of each string.
"""
import json
import random
import re
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

random.seed(17)
CHARACTERS = ["a", "b", "z", "A", "0", "7", " ", "-", "é", "ß", "日", "😀", "\\", "\"", "\n", "/", "\u007f"]
PATTERNS = {
    "^a+b?$": ["a", "aab", "b", "aba", ""],
    "b": ["b", "abc", "ac", ""],
    "^[A-Z]{2}-[0-9]{1,3}$": ["AB-1", "AB-1234", "ab-1", "XY-123", "XY-"],
    "^(?:red|green|blue)$": ["red", "blue", "redgreen", "gree"],
    "^[^x-z]*$": ["", "abc", "axb", "é日", "y"],
    "^.{2,4}$": ["a", "ab", "日本語", "abcde", "a\nb"],
    "(^|-)end$": ["end", "the-end", "theend", "end-"],
    "^(a|ab)(c|bcd)*$": ["abcd", "a", "abc", "abbcd", "ac", "b"],
    "[0-9]$": ["1", "a1", "1a", ""],
    "^\\$\\{[a-z]+\\}$": ["${abc}", "${}", "$abc"],
}
FORMATS = {
    "date": ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2023-13-01", "2023-04-31", "0000-01-01", "23-1-1", "9999-12-31"],
    "ipv4": ["1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "0.0.0.0"],
    "ipv6": ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1::2::3", "fe80::1:2", "1:2:3:4:5:6:7::", "g::1", "1:2:3:4:5:6:1.2.3.4",
             "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "12345::"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "123E4567-E89B-12D3-A456-42661417400", ""],
    "email": ["a@b.cd", "no", "a.b+c@d-e.fg"],
}


def text():
    return "".join(random.choice(CHARACTERS) for _ in range(random.randrange(6)))


def number_schema(kind):
    schema = {"type": kind}
    low = random.choice([None, random.randrange(-300, 300), random.randrange(-5, 5)])
    high = None if random.random() < 0.4 else (low if low is not None else 0) + random.randrange(1, random.choice([5, 50, 2000]))
    if kind == "number" and random.random() < 0.5:
        low = None if low is None else low + random.choice([0.5, 0.25, 0.125, 0.1])
        high = None if high is None else high + random.choice([0.5, 0.75, 0.3])
    if low is not None:
        schema[random.choice(["minimum", "exclusiveMinimum"])] = low
    if high is not None:
        schema[random.choice(["maximum", "exclusiveMaximum"])] = high + 1
    if kind == "integer" and random.random() < 0.3:
        schema["multipleOf"] = random.choice([2, 3, 7, 10, 12])
    return schema


def string_schema():
    choice = random.random()
    if choice < 0.25:
        return {"type": "string", "pattern": random.choice(list(PATTERNS))}
    if choice < 0.45:
        return {"type": "string", "format": random.choice(list(FORMATS))}
    schema = {"type": "string"}
    if random.random() < 0.6:
        schema["minLength"] = random.randrange(4)
    if random.random() < 0.6:
        schema["maxLength"] = schema.get("minLength", 0) + random.randrange(5)
    if random.random() < 0.2:
        schema["pattern"] = random.choice(["^[a-z0-9]*$", "^[^0]*$"])
    return schema


def value():
    return random.choice([None, True, False, 0, 1, -7, 2.5, "", "a", "b\"", "日"])


def schema(depth):
    kinds = ["number", "integer", "string", "string", "enum", "const", "boolean", "types"]
    if depth > 0:
        kinds += ["object", "object", "object", "array", "array", "tuple", "anyOf", "allOf", "map", "ref", "oneOf"]
    kind = random.choice(kinds)
    if kind in ("number", "integer"):
        return number_schema(kind)
    if kind == "string":
        return string_schema()
    if kind == "enum":
        return {"enum": [value() for _ in range(random.randrange(1, 5))]}
    if kind == "const":
        return {"const": value()}
    if kind == "boolean":
        return {"type": random.choice(["boolean", "null"])}
    if kind == "types":
        return {"type": random.sample(["null", "boolean", "integer", "number", "string"], random.randrange(1, 4))}
    if kind == "object":
        return object_schema(depth, ["a", "ab", "b", "é", "x y", "\"q\""])
    if kind == "array":
        result = {"type": "array", "items": schema(depth - 1)}
        if random.random() < 0.5:
            result["minItems"] = random.randrange(3)
        if random.random() < 0.5:
            result["maxItems"] = result.get("minItems", 0) + random.randrange(3)
        return result
    if kind == "tuple":
        return {"type": "array", "prefixItems": [schema(depth - 1) for _ in range(random.randrange(1, 3))],
                "items": random.choice([False, schema(0)]), "minItems": random.randrange(2)}
    if kind == "anyOf":
        return {"anyOf": [schema(depth - 1) for _ in range(random.randrange(1, 4))]}
    if kind == "oneOf":
        return {"oneOf": [{"type": "null"}, number_schema("integer"), string_schema()]}
    if kind == "allOf":
        names = ["a", "ab", "b", "é"]
        parts = [object_schema(depth - 1, names[:2]), object_schema(depth - 1, names[2:])]
        for part in parts:
            part.pop("additionalProperties", None)
        return {"allOf": parts}
    if kind == "map":
        return {"type": "object", "additionalProperties": schema(depth - 1)}
    return {"$ref": "#/$defs/node"}


def object_schema(depth, names):
    names = random.sample(names, random.randrange(1, len(names) + 1))
    result = {"type": "object", "properties": {name: schema(depth - 1) for name in names},
              "required": [name for name in names if random.random() < 0.6]}
    choice = random.random()
    if choice < 0.5:
        result["additionalProperties"] = False
    elif choice < 0.7:
        result["additionalProperties"] = schema(0)
    return result


NODE = {"type": "object", "properties": {"v": {"type": "integer", "minimum": 0}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
        "required": ["v"], "additionalProperties": False}


def document(s, depth=6):
    """A document near the schema: mostly valid."""
    if random.random() < 0.05:
        return value()
    if s is True or s == {}:
        return value()
    if s is False:
        return value()
    if "$ref" in s:
        return document(NODE, depth - 1) if depth > 0 else {"v": 1}
    if "const" in s:
        return s["const"]
    if "enum" in s:
        return random.choice(s["enum"])
    for key in ("anyOf", "oneOf"):
        if key in s:
            return document(random.choice(s[key]), depth - 1)
    if "allOf" in s:
        result = {}
        for part in s["allOf"]:
            inner = document(part, depth - 1)
            if isinstance(inner, dict):
                result.update(inner)
        return result
    kind = s["type"] if isinstance(s["type"], str) else random.choice(s["type"])
    if kind == "null":
        return None
    if kind == "boolean":
        return random.random() < 0.5
    if kind in ("integer", "number"):
        edges = [s[key] for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if key in s] or [0]
        result = random.choice(edges) + random.choice([0, 0, 1, -1, 2, 10, -10, 100])
        if kind == "integer":
            return int(result) * random.choice([1, 1, s.get("multipleOf", 1)])
        result = round(result + random.choice([0, 0.5, -0.25, 0.1, 0.001]), 6)
        return int(result) if result == int(result) else result
    if kind == "string":
        if "pattern" in s and s["pattern"] in PATTERNS:
            return random.choice(PATTERNS[s["pattern"]])
        if "format" in s:
            return random.choice(FORMATS[s["format"]])
        return text()
    if kind == "array":
        first = s.get("prefixItems", [])
        count = random.randrange(max(0, s.get("minItems", 0) - 1), s.get("maxItems", len(first) + 2) + 2)
        rest = s.get("items", True)
        return [document(first[i] if i < len(first) else rest, depth - 1) for i in range(count)]
    result = {}
    for name, inner in s.get("properties", {}).items():
        if name in s["required"] and random.random() < 0.95 or random.random() < 0.5:
            result[name] = document(inner, depth - 1)
    others = s.get("additionalProperties")
    if others is not None and (random.random() < 0.4 or not s.get("properties")):
        for _ in range(random.randrange(1, 3)):
            name = random.choice(["a", "k", "longer", "é", "\"q\"", "x y z", ""])
            if name not in s.get("properties", {}):
                result[name] = document(others, depth - 1)
    return result


def strict(s):
    """The schema as it is meant here: no members that nobody asked for, and `$` is the end of the text, as in ECMA-262."""
    if isinstance(s, list):
        return [strict(x) for x in s]
    if not isinstance(s, dict):
        return s
    s = {key: value if key in ("enum", "const") else strict(value) for key, value in s.items()}
    if isinstance(s.get("pattern"), str):
        s["pattern"] = re.sub(r"(?<!\\)\$", r"\\Z", s["pattern"])
    if "allOf" in s:
        for part in s["allOf"]:
            part.pop("additionalProperties", None)
        s["unevaluatedProperties"] = False
    elif s.get("type") == "object" and s.get("properties"):
        s.setdefault("additionalProperties", False)
    return s


def main():
    checker = FormatChecker()
    path = Path(__file__).resolve().parent.parent / "Tests/ConstraintsTests/Golden/documents.jsonl"
    lines = []
    count = 0
    while len(lines) < 500:
        s = schema(3)
        if "$ref" in json.dumps(s):
            s = {**s, "$defs": {"node": NODE}} if "$ref" not in s else {"$ref": "#/$defs/node", "$defs": {"node": NODE}}
        validator = Draft202012Validator(strict(s), format_checker=checker)
        found = {True: {}, False: {}}
        for _ in range(24):
            d = document(s)
            separators = random.choice([(",", ":"), (", ", ": ")])
            t = json.dumps(d, ensure_ascii=False, separators=separators)
            found[validator.is_valid(json.loads(t))][t] = None
        lines.append(json.dumps({"schema": s, "valid": list(found[True]), "invalid": list(found[False])}, ensure_ascii=False))
        count += len(found[True]) + len(found[False])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    print(f"{count} documents of {len(lines)} schemas, {path.stat().st_size} bytes")


main()

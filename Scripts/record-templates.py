#!/usr/bin/env python3
"""Records what Jinja2 makes of chat templates, for Tests/ChatTemplatesTests.

    python3 Scripts/record-templates.py ../shared/assets/chat-templates
    python3 Scripts/record-templates.py ../shared/assets/chat-templates --show Qwen-Qwen2.5-7B-Instruct tool-answer/tools

Needs jinja2 3.1.6. Writes Golden/conversations.json (what templates see), Golden/renderings.tsv (length and FNV-1a of
every rendering: the templates of others are not ours to copy, nor is their text) and Golden/features.json (small
templates with what they write). With --show it prints one rendering instead, to be compared with a failing test's.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import template_conversations
import template_features
import template_oracle

TESTS = pathlib.Path(__file__).parent.parent / "Tests" / "ChatTemplatesTests"


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def templates(assets):
    for folder in [pathlib.Path(assets), TESTS / "Templates"]:
        for path in sorted(folder.glob("*.jinja")):
            yield path.stem, path.read_bytes().decode()


def record(assets):
    golden = TESTS / "Golden"
    cases = list(template_conversations.cases())
    # One case a line, so that a change shows as what it is.
    lines = [f"{json.dumps(name)}: {json.dumps(variables, ensure_ascii=False)}" for name, variables in cases]
    (golden / "conversations.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    with open(golden / "renderings.tsv", "w") as file:
        for name, source in templates(assets):
            for case, variables in cases:
                result = template_oracle.render(source, variables)
                if result[0] == "text":
                    print(name, case, len(result[1].encode()), fnv1a(result[1]), sep="\t", file=file)
                else:
                    print(name, case, "error", result[1], sep="\t", file=file)
    lines = [json.dumps(template_features.V)]
    for source in template_features.features():
        result = template_oracle.render(source, template_features.V)
        entry = {"template": source}
        if result[0] == "text":
            entry["text"] = result[1]
        else:
            entry |= {"error": result[1], "message": result[2]}
        lines.append(json.dumps(entry, ensure_ascii=False))
    (golden / "features.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    if "--show" in sys.argv:
        assets, _, name, case = sys.argv[1:]
        print(template_oracle.render(dict(templates(assets))[name], dict(template_conversations.cases())[case])[1], end="")
    else:
        record(sys.argv[1])

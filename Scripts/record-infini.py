#!/usr/bin/env python3
"""Turns the reference outputs of the infini-small models (numpy archives) into JSON that tests read.

    python3 Scripts/record-infini.py ../shared/assets/models/infini-small Tests/ModelsTests/Golden/infini-small.json

Needs numpy. The archives are PyTorch's, see the README beside them; nothing is computed here.
"""

import json
import sys

import numpy


def record(folder):
    cases = {}
    for name in ["short", "medium", "long"]:
        archive = numpy.load(f"{folder}/reference/{name}.npz")
        logits = archive["logits"]
        best = numpy.argsort(-logits)[:64]
        cases[name] = {
            "ids": archive["ids"].tolist(),
            "greedy": archive["greedy"].tolist(),
            # The highest logits and every sixteenth: all of them would be ten times the size.
            "logits": {int(index): float(logits[index]) for index in sorted({*best.tolist(), *range(0, len(logits), 16)})},
        }
        if "greedy100" in archive.files:
            cases[name]["greedy"] = archive["greedy100"].tolist()
    memory = numpy.load(f"{folder}/reference/medium-memory.npz")
    cases["memory"] = {
        name: {"diagonal": [numpy.diagonal(head).tolist() for head in memory[name]]}
        if name.endswith("M")
        else {"heads": memory[name].tolist()}
        for name in memory.files
    }
    return cases


if __name__ == "__main__":
    source, target = sys.argv[1:]
    folders = {"linear": source, "delta": source + "/delta", "local-only": source + "/local-only"}
    with open(target, "w") as file:
        json.dump({name: record(folder) for name, folder in folders.items()}, file, separators=(",", ":"))
        file.write("\n")

#!/usr/bin/env python3
"""Runs the line retrieval of SubGen's experiments (arXiv 2402.06082): LongEval records of 200 and 300 lines, of whose keys
and values 35, 42 or 50 per cent are dropped.

  Benchmarks/longeval.py longeval-lines-200.jsonl longeval-lines-300.jsonl --cases 20 -- --lora recall
  Benchmarks/longeval.py longeval-lines-200.jsonl --cuts 50 --cases 4 --caches full,k-center,h2o -- -m MODEL.gguf

The files hold a case a line: {"prompt": "...", "expected_number": 2416}. What stands behind -- goes to `sluice evaluate
recall` as it is. Every cut is of a case's own tokens for k-center, whose option `ratio` is what a prompt loses; caches that
know slots alone get what the cut leaves of the shortest case. The answer's first token is that of a full cache for k-center,
which chooses when the prompt has ended, as in the paper; all others drop tokens while they read.

A case of 200 lines is 4,400 tokens: half a minute of one core for each cache with the default model.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def specification(name, cut, slots):
    """A cache by its name with a share of the prompt dropped, which leaves so many slots."""
    known = {
        "full": "full",
        "k-center": f"k-center[ratio={cut / 100:g}]",
        "subgen": f"subgen:{slots}",
        "h2o": f"h2o:{slots}",
        "streaming-llm": f"streaming-llm:4+{slots - 4}",
        "snapkv": f"snapkv:{slots}",
        "cascading": f"cascading:{slots}/4",
    }
    if name not in known:
        sys.exit(f"longeval.py: no cache '{name}'; there are {', '.join(known)}")
    return known[name]


def tokens(sluice, prompt, model):
    """How many tokens a prompt is."""
    result = subprocess.run(
        [sluice, "tokenize", "--json", *model], input=prompt, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.stderr.strip())
    return len(json.loads(result.stdout))


def measure(sluice, cases, caches, arguments):
    """Results of `sluice evaluate recall`, one for each cache."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(cases)
        file.flush()
        command = [sluice, "evaluate", "recall", file.name, "--json", *arguments]
        for cache in caches:
            command += ["--cache", cache]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.returncode)
    return [json.loads(line) for line in result.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="cases, one JSON object a line")
    parser.add_argument("--cuts", default="35,42,50", help="per cent that is dropped (35,42,50)")
    parser.add_argument("--cases", type=int, default=20, help="of each file (20)")
    parser.add_argument("--caches", default="full,k-center,subgen,h2o,streaming-llm", help="with commas in between")
    parser.add_argument("--sluice", default=str(ROOT / ".build/release/sluice"), help="the command")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options, rest = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1:]
    if not os.access(options.sluice, os.X_OK):
        sys.exit(f"longeval.py: {options.sluice} is not there; build it with swift build -c release, or name it by --sluice")
    model = []
    for flag in ("-m", "--model"):
        if flag in rest:
            model = ["-m", rest[rest.index(flag) + 1]]
    print("| cases | tokens | dropped | cache | exact | digits |\n| --- | ---: | ---: | --- | ---: | ---: |")
    for path in options.files:
        cases = pathlib.Path(path).read_text().splitlines(keepends=True)[: options.cases]
        least = min(tokens(options.sluice, json.loads(case)["prompt"], model) for case in cases)
        names = options.caches.split(",")
        for index, cut in enumerate(int(cut) for cut in options.cuts.split(",")):
            slots = least * (100 - cut) // 100
            # A full cache is the same for every cut.
            caches = [specification(name, cut, slots) for name in names if name != "full" or index == 0]
            for result in measure(options.sluice, cases, caches, rest):
                dropped = "" if result["cache"] == "full" else f"{cut} %"
                exact = round(result["exactMatch"] * result["cases"])
                print(
                    f"| {len(cases)} of {pathlib.Path(path).stem} | {least:,} | {dropped} | `{result['cache']}` | {exact} | "
                    f"{result['digitAccuracy']:.2f} |", flush=True)


if __name__ == "__main__":
    main()

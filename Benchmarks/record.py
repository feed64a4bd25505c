#!/usr/bin/env python3
"""Keeps what single kernels and the default model reach on this kind of machine, and says what got slower.

  Benchmarks/record.py                       measures, compares with what is kept, keeps nothing
  Benchmarks/record.py --keep                measures and replaces what is kept
  SLUICE_ISA=avx2 Benchmarks/record.py       another set of kernels, kept beside the others

A file in Benchmarks/results/ belongs to a CPU (vendor, family, model), a set of kernels and a number of threads. Kept are
medians, and compared are shares of what the machine could do in the same minute: an hour in which all is slow is no
regression. `chrt -r 1` (Linux, root) keeps other programs away.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
MODEL_RUNS = {"depth 0": [], "depth 4096": ["--depth", "4096", "--fill"]}


def processor():
    """Vendor, family and model of the CPU, as a name for files, and its own name."""
    fields = {}
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    except OSError:
        name = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True)
        fields["model name"] = name.stdout.strip()
    name = fields.get("model name") or fields.get("CPU part") or "unknown"
    if "cpu family" not in fields:
        return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), name
    vendor = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}.get(fields["vendor_id"], fields["vendor_id"].lower())
    return f"{vendor}-{fields['cpu family']}-{fields['model']}", name


def objects(program, *arguments):
    run = subprocess.run([program, "bench", *arguments, "--json"], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"record: {' '.join(arguments)}: {run.stderr.strip()}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def measure(program, threads, rounds):
    """All shares of all rounds, by line."""
    shares = {}
    for _ in range(rounds):
        for row in objects(program, "--kernels", "-t", threads):
            known = [row[key] for key in ("fractionOfBandwidth", "fractionOfPeak") if row[key] is not None]
            if known:
                shares.setdefault(f"{row['kernel']} {row['type']}, {row['shape']}", []).append(max(known))
        for name, arguments in MODEL_RUNS.items():
            row = objects(program, "-t", threads, "--rounds", "1", *arguments)[0]
            for line, key in (("prefill", "prefillFractionOfLimit"), ("decode", "fractionOfLimit")):
                shares.setdefault(f"default model, {name}: {line}", []).append(row[key])
    return {name: round(statistics.median(values), 3) for name, values in shares.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="replace what is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default=str(os.cpu_count()))
    parser.add_argument("--tolerance", type=float, default=10, help="per cent of a share that are no regression")
    parser.add_argument("--sluice", default=".build/release/sluice")
    arguments = parser.parse_args()

    kind, name = processor()
    limits = objects(arguments.sluice, "--machine", "-t", arguments.threads)[0]
    path = RESULTS / f"{kind}-{limits['instructionSet']}-{arguments.threads}.json"
    shares = measure(arguments.sluice, arguments.threads, arguments.rounds)
    kept = json.loads(path.read_text())["shares"] if path.exists() else {}
    slower = 0
    for line, share in shares.items():
        before = kept.get(line)
        change = "" if not before else f"{100 * (share / before - 1):+6.1f} %"
        if before and share < before * (1 - arguments.tolerance / 100):
            slower += 1
            change += "  slower"
        print(f"{line:56} {share:6.2f} {change}")
    if arguments.keep:
        RESULTS.mkdir(exist_ok=True)
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        record = {
            "cpu": name, "kind": kind, "threads": int(arguments.threads), "instructionSet": limits["instructionSet"],
            "date": datetime.date.today().isoformat(), "commit": commit.stdout.strip(), "rounds": arguments.rounds,
            "limits": {key: value for key, value in limits.items() if isinstance(value, float)}, "shares": shares}
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"kept in {path}")
    elif not kept:
        print(f"nothing is kept for this machine: {path.name} would be made by --keep")
    sys.exit(1 if slower and not arguments.keep else 0)


if __name__ == "__main__":
    main()

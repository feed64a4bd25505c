#!/usr/bin/env python3
"""Measures `sluice bench` and llama.cpp in alternation on the same GGUF and prints medians and ratios.

  Benchmarks/peers/compare.py MODEL.gguf [MODEL.gguf ...] --rounds 5 --depth 0 --depth 4096
  Benchmarks/peers/compare.py MODEL.gguf --only llama.cpp

llama.cpp comes as llama-cpp-python, built on first use (10 minutes on 2 cores; needs a C compiler) in a virtual
environment outside the repository. It is measured with flash attention on and off, and the better median of each line
counts. Every measurement is its own process; rounds alternate, since a shared machine drifts by the hour. Both start
at a depth with a cache that nothing computed: random or repeated keys and values, which the time of a step does not
depend on. `batched` is decoding with --sequences at once, tokens of all of them together.
`foreign` is the share of the processors' time that other programs used meanwhile (Linux only): llama.cpp's threads
spin, so above a few per cent its figures fall by factors and mean nothing. --quiet N repeats a measurement until the
share is below N per cent; `chrt -r 1 Benchmarks/peers/compare.py ...` (Linux, root) takes the processors from the
others for as long as it runs.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
PACKAGE = "llama-cpp-python==0.3.36"
LINES = {
    "prefill": "prefillTokensPerSecond", "decode": "decodeTokensPerSecond", "batched": "batchedDecodeTokensPerSecond"}


def peer_python(folder):
    """The Python of the peers' environment, which is made where it is missing."""
    python = folder / "bin/python"
    probe = [str(python), "-c", "import llama_cpp"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        print(f"building {PACKAGE} in {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        environment = os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PACKAGE], check=True, env=environment)
    return str(python)


def busy_seconds():
    """Processor time that the whole machine has used so far, or None where the system does not say."""
    try:
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, interrupt, soft, steal = map(int, fields[:8])
    return (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")


def measure(command):
    """Runs one measurement and returns its JSON object with the share of foreign load, in per cent."""
    before, own, start = busy_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after, used = time.monotonic() - start, busy_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"compare: {' '.join(command)}: {reason}")
    values = json.loads(result.stdout.strip().splitlines()[-1])
    if before is not None:
        spent = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
        values["foreign"] = min(100.0, 100 * max(0.0, after - before - spent) / wall / os.cpu_count())
    return values


def measure_quietly(command, limit):
    for _ in range(10):
        values = measure(command)
        if limit is None or values.get("foreign", 0) <= limit:
            break
        time.sleep(5)
    return values


def compare(model, depth, arguments, commands):
    """Prints one row a line (prefill, decode, batched) for one model at one depth."""
    samples = {name: [] for name in commands}
    for done in range(arguments.rounds):
        for name, command in commands.items():
            fill = ["--fill"] if name == "sluice" and depth > 0 else []
            values = measure_quietly([*command, "--depth", str(depth), *fill], arguments.quiet)
            samples[name].append(values)
            if arguments.verbose:
                print(f"round {done + 1} {name}: {json.dumps(values)}", file=sys.stderr)
    foreign = max(values.get("foreign", 0.0) for runs in samples.values() for values in runs)
    for line, key in LINES.items():
        if any(key not in run for runs in samples.values() for run in runs):
            continue  # one sequence has no line of its own
        medians = {name: statistics.median(run[key] for run in runs) for name, runs in samples.items()}
        peers = {name: value for name, value in medians.items() if name != "sluice"}
        row = {"model": pathlib.Path(model).name, "line": line, "depth": depth, **medians, "foreign": foreign}
        text = f"{row['model']:36} {line:8} {depth:6} {foreign:7.0f} %"
        if "sluice" in medians:
            text += f" {medians['sluice']:10.1f}"
        if peers:
            best = max(peers, key=peers.get)
            text += f" {peers[best]:10.1f} ({best})"
            if "sluice" in medians:
                row["ratio"] = medians["sluice"] / peers[best]
                text += f"  ratio {row['ratio']:.2f}"
        print(json.dumps(row) if arguments.json else text, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf")
    parser.add_argument("--sluice", default=str(HERE.parent.parent / ".build/release/sluice"), help="the command")
    parser.add_argument("--peers", type=pathlib.Path, default=CACHE / "sluice/peers", help="the virtual environment")
    parser.add_argument("--only", choices=["sluice", "llama.cpp"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--depth", type=int, action="append", help="tokens already in the cache; repeatable")
    parser.add_argument("--sequences", type=int, default=1, help="also decode so many sequences at once")
    parser.add_argument("--cache", default="full", help="what sluice remembers; llama.cpp always keeps everything")
    parser.add_argument("--cache-type", default="f16", help="element type of sluice's cache")
    parser.add_argument("--peer-kv", choices=["f16", "q8_0"], default="f16", help="element type of llama.cpp's cache")
    parser.add_argument("--quiet", type=float, metavar="PERCENT", help="repeat measurements above this foreign load")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--verbose", action="store_true", help="every sample on standard error")
    arguments = parser.parse_args()

    if arguments.only != "llama.cpp" and not os.access(arguments.sluice, os.X_OK):
        sys.exit(f"compare: no command at {arguments.sluice}: swift build -c release, or name it with --sluice")
    sizes = ["--prefill", str(arguments.prefill), "--decode", str(arguments.decode)]
    if arguments.sequences > 1:
        sizes += ["--sequences", str(arguments.sequences)]
    python = None if arguments.only == "sluice" else peer_python(arguments.peers)
    if not arguments.json:
        print(f"{'model':36} {'line':8} {'depth':>6} {'foreign':>9}  tokens/s")
    for model in arguments.models:
        if not os.path.isfile(model):
            sys.exit(f"compare: there is no file {model}")
        commands = {}
        if arguments.only != "llama.cpp":
            commands["sluice"] = [arguments.sluice, "bench", "-m", model, "-t", str(arguments.threads), *sizes,
                                  "--cache", arguments.cache, "--cache-type", arguments.cache_type, "--json"]
        if python:
            peer = [python, str(HERE / "llama_cpp_bench.py"), "--model", model, "--threads", str(arguments.threads),
                    *sizes, "--kv", arguments.peer_kv]
            commands["llama.cpp fa"] = [*peer, "--flash", "on"]
            if arguments.peer_kv == "f16":  # a quantised cache needs flash attention
                commands["llama.cpp"] = [*peer, "--flash", "off"]
        for depth in arguments.depth or [0]:
            compare(model, depth, arguments, commands)


if __name__ == "__main__":
    main()

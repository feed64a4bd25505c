"""Prints, for usual shapes, how many instructions 100 multiplications with their additions take in each ARM64 set.

Called by Scripts/test-arm64 --count, which builds what it runs. A kernel is run once and twice: what the second run adds is
its own.
"""

import subprocess
import sys

SETS = ["scalar", "neon", "neon-dotprod", "neon-i8mm", "neon-bf16"]
folder = sys.argv[1]


def output_of(*arguments, plugin=()):
    command = ["qemu-aarch64", *plugin, f"{folder}/kernels-test", "count", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def instructions(kernel, name, times):
    result = output_of(kernel, name, str(times), plugin=["-plugin", f"{folder}/counter.so"])
    return int(result.stderr), int(result.stdout)


print("| kernel | " + " | ".join(SETS) + " |\n| --- |" + " ---: |" * len(SETS))
for kernel in output_of().stdout.splitlines():
    cells = []
    for name in SETS:
        once, products = instructions(kernel, name, 1)
        twice, _ = instructions(kernel, name, 2)
        cells.append(f"{100 * (twice - once) / products:.0f}")
    print(f"| {kernel} | " + " | ".join(cells) + " |", flush=True)

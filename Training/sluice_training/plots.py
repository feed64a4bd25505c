"""Curves of a run: losses, right answers, gates."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402


def records(folder):
    return [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]


def smooth(values, share=0.9):
    result, average = [], None
    for value in values:
        average = value if average is None else share * average + (1 - share) * value
        result.append(average)
    return result


def draw(folder):
    """Writes `curves.svg` beside the log, and `gates.svg` for a model with a memory."""
    log = records(folder)
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name in ("text", "answers"):
        points = [(record["step"], record[name]) for record in log if name in record]
        if points:
            axes.plot([point[0] for point in points], smooth([point[1] for point in points]), label=f"loss of {name}")
    right = [(record["step"], record["digits"]) for record in log if "digits" in record]
    if right:
        other = axes.twinx()
        other.plot([point[0] for point in right], smooth([point[1] for point in right]), "k:", label="right tokens of answers")
        other.set_ylim(0, 1)
        other.legend(loc="lower right")
    axes.set_xlabel("step")
    axes.legend(loc="upper right")
    figure.savefig(Path(folder) / "curves.svg")
    pyplot.close(figure)
    gates = [(record["step"], record["gates"]) for record in log if "gates" in record]
    if not gates:
        return
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4))
    for layer, heads in enumerate(gates[-1][1]):
        for head in range(len(heads)):
            left.plot(
                [step for step, _ in gates], [values[layer][head] for _, values in gates], color=f"C{layer}",
                label=f"layer {layer}" if head == 0 else None)
    left.set_ylim(0, 1)
    left.set_xlabel("step")
    left.set_title("gates, before and after the steps")
    left.legend()
    right.hist([value for heads in gates[-1][1] for value in heads], bins=20, range=(0, 1))
    right.set_title("at the end")
    figure.savefig(Path(folder) / "gates.svg")
    pyplot.close(figure)

"""The command: `python -m sluice_training train CONFIG FOLDER` and others, see `--help`."""

import argparse
import json
import signal

from . import lowrank, reference, weights
from .config import AdapterConfig
from .run import Run, expand, read_config


def resumed(arguments):
    run = Run(read_config(arguments.config), expand(arguments.folder))
    if not run.resume():
        raise SystemExit(f"'{arguments.folder}' holds no checkpoint")
    run.model.eval()
    return run


def train(arguments):
    run = Run(read_config(arguments.config), expand(arguments.folder))
    if run.resume():
        print(f"goes on at step {run.step_number}", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(run, "stops", True))
    run.train(save_every=arguments.save_every)


def export(arguments):
    from . import export as files

    run = resumed(arguments)
    target = expand(arguments.out)
    if "adapter" in run.config:
        values = dict(run.config["adapter"])
        values["targets"] = tuple(values.get("targets", AdapterConfig.targets))
        adapter, state = AdapterConfig(**values), lowrank.adapter_state(run.model)
        if target.suffix == ".gguf":
            files.write_adapter_gguf(run.model.config, adapter, state, target, arguments.type)
        else:
            files.write_adapter_folder(run.model.config, adapter, state, target)
    elif target.suffix == ".gguf":
        tokenizer = expand(run.config["tokenizer"])
        files.write_gguf(run.model.config, run.model.state_dict(), tokenizer, target, arguments.type)
    else:
        files.write_folder(run.model.config, run.model.state_dict(), expand(run.config["tokenizer"]), target)


def held_out_documents(run):
    from .recall import RecallDocuments
    from .text import Text

    held_out = Text(run.held_out_paths, run.tokenizer, run.cache)
    return RecallDocuments(run.tokenizer, held_out, **run.data.get("documents", {}))


def cases(arguments):
    from .evaluate import prompts

    run = Run(read_config(arguments.config), ".")
    source, segment = held_out_documents(run), run.model.config.infini.segment
    with open(arguments.out, "w") as file:
        for distance in arguments.distances:
            for case in prompts(source, arguments.kind, distance, arguments.cases, segment):
                file.write(json.dumps(case) + "\n")


def recall(arguments):
    from .evaluate import recall as measure, sizes

    run = resumed(arguments)
    source = held_out_documents(run)
    for distance in arguments.distances:
        shares = measure(run.model, source, arguments.kind, distance, arguments.cases)
        print(json.dumps({"kind": arguments.kind, "distance": distance, "cases": arguments.cases, **shares}), flush=True)
    for tokens in (1 << 10, 1 << 15, 1 << 20):
        numbers = sizes(run.model.config, tokens)
        ratios = {name: round(numbers["full"] / numbers[name], 1) for name in ("memory", "memory and segment")}
        print(json.dumps({"tokens": tokens, **numbers, "times smaller": ratios}))


def attention(arguments):
    from .sinks import measure
    from .text import Text

    run = resumed(arguments)
    held_out = Text(run.held_out_paths, run.tokenizer, run.cache)
    print(json.dumps({"run": arguments.folder, "step": run.step_number, **measure(run.model, held_out)}))


def plot(arguments):
    from .plots import draw

    draw(expand(arguments.folder))


def unpack(arguments):
    """A GGUF file as a folder of float32 weights with its tokenizer, for runs that start from it."""
    from . import export as files

    config, state = weights.load(expand(arguments.file))
    weights.write_tokenizer(expand(arguments.file), expand(arguments.out))
    files.write_folder(config, state, None, expand(arguments.out))


def pack(arguments):
    """A folder of weights as one GGUF file."""
    from . import export as files

    config, state = weights.load(expand(arguments.folder))
    files.write_gguf(config, state, expand(arguments.tokenizer or arguments.folder), expand(arguments.out), arguments.type)


def main():
    parser = argparse.ArgumentParser(prog="sluice_training", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name, run, help, *arguments):
        one = commands.add_parser(name, help=help)
        for argument in arguments:
            one.add_argument(argument)
        one.set_defaults(run=run)
        return one

    command("train", train, "train, or go on from the folder's checkpoint", "config", "folder").add_argument(
        "--save-every", type=int, default=50)
    command(
        "export", export, "write a run's model or adapter: a folder, or a .gguf file", "config", "folder", "out"
    ).add_argument("--type", choices=["f32", "f16", "q8_0"], default="f32")
    for measured in (
        command("recall", recall, "measure what a model with a memory recalls", "config", "folder"),
        command("cases", cases, "write the documents for 'sluice evaluate recall'", "config", "out")):
        measured.add_argument("--kind", default="pass_key")
        measured.add_argument("--distances", type=int, nargs="+", default=[1, 2, 4, 8, 15])
        measured.add_argument("--cases", type=int, default=100)
    command(
        "attention", attention, "measure how much attention the first token draws, by layer", "config", "folder")
    command("plot", plot, "draw a run's curves beside its log", "folder")
    command("unpack", unpack, "turn a GGUF file into a folder of float32 weights", "file", "out")
    packed = command("pack", pack, "turn a folder of weights into a GGUF file", "folder", "out")
    packed.add_argument("--type", choices=["f32", "f16", "q8_0"], default="f32")
    packed.add_argument("--tokenizer", help="the folder of tokenizer.json, where it is another one")
    command("record", lambda arguments: reference.write(arguments.folder),
            "write the models and logits that Sluice's tests are held against", "folder")
    command("logits", lambda arguments: reference.write_logits(arguments.file, arguments.out),
            "write a model file's logits, for the test of the one that ships", "file", "out")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

"""The command: `python -m sluice_training train CONFIG [FOLDER]` and others, see `--help`."""

import argparse

from .run import Run, expand, read_config


def train(arguments):
    run = Run(read_config(arguments.config), expand(arguments.folder))
    if run.resume():
        print(f"goes on at step {run.step_number}", flush=True)
    run.train(save_every=arguments.save_every)


def main():
    parser = argparse.ArgumentParser(prog="sluice_training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train, or go on from the folder's checkpoint")
    command.add_argument("config")
    command.add_argument("folder")
    command.add_argument("--save-every", type=int, default=50)
    command.set_defaults(run=train)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

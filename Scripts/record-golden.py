#!/usr/bin/env python3
"""Records the golden values of Tests/ModelsTests/Golden with PyTorch and transformers.

  python3 -m venv ~/.cache/sluice/golden && . ~/.cache/sluice/golden/bin/activate
  pip install -r Scripts/requirements.txt
  Scripts/record-golden.py                          # the tiny random models and blocks.json
  Scripts/record-golden.py --default-model FILE     # smollm2-logits.json too, from the GGUF of the default model;
                                                    # with --adapter FOLDER smollm2-recall-logits.json as well

Every tiny model is a Hugging Face directory (config.json, safetensors) or a GGUF file with logits beside it:
{"ids", "positions", "logits"}, one row of logits per listed position. The weights come from seeds, are rounded to
the stored type, and the logits are computed in float32 with eager attention from what was stored, through the same
loading code that users of transformers run. Same versions of the packages, same files.
"""
import argparse
import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers.utils import logging

from golden_adapters import record_adapters
from golden_blocks import record_blocks
from golden_families import record_families
from golden_llama import GOLDEN, numbers, record_models
from llama_gguf import load_model, load_tokenizer

PASSAGE = (
    "A sluice box lets a river through and keeps the gold. In 1897 the miners of Bonanza Creek washed "
    "some 2,500 tons of gravel a day; what was heavy stayed behind the riffles, and the rest — sand, "
    "leaves, water — went on to the sea. A model that reads for ever has to do the same with what it "
    "remembers.")


def record_default_model(path, file, adapter=None):
    """Logits of the default model at four positions: 256 fixed vocabulary entries, the largest, log-sum-exp."""
    ids = load_tokenizer(path).encode(PASSAGE, add_special_tokens=False).ids[:64]
    model = load_model(path)
    with torch.inference_mode():
        if adapter:
            config = json.loads((adapter / "adapter_config.json").read_text())
            factors = load_file(adapter / "adapter_model.safetensors")
            for name in (name for name in factors if name.endswith(".lora_A.weight")):
                a, b = factors[name].float(), factors[name.replace("lora_A", "lora_B")].float()
                module = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
                module.weight += config["lora_alpha"] / a.shape[0] * (b @ a)
        logits = model(torch.tensor([ids])).logits[0]
    positions = [0, 15, 40, len(ids) - 1]
    indices = list(range(0, 49152, 192))
    rows = ",\n  ".join(
        f'{{"position": {p}, "argmax": {int(logits[p].argmax())}, "max": {logits[p].max().item():.7g}, '
        f'"logSumExp": {logits[p].double().logsumexp(0).item():.9g},\n   "logits": {numbers(logits[p][indices])}}}'
        for p in positions)
    (GOLDEN / file).write_text(
        f'{{"text": {json.dumps(PASSAGE)},\n "ids": {json.dumps(ids)},\n "indices": {json.dumps(indices)},\n'
        f' "positions": [\n  {rows}]}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--default-model", type=pathlib.Path, metavar="FILE",
                        help="the GGUF of the default model (Scripts/fetch-model prints where it is)")
    parser.add_argument("--adapter", type=pathlib.Path, metavar="FOLDER",
                        help="the recall adapter of the default model, in PEFT's layout")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    logging.disable_progress_bar()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    record_models()
    record_adapters()
    record_families()
    record_blocks()
    if arguments.default_model:
        record_default_model(arguments.default_model, "smollm2-logits.json")
        if arguments.adapter:
            record_default_model(arguments.default_model, "smollm2-recall-logits.json", arguments.adapter)
    print(f"recorded into {GOLDEN}")


if __name__ == "__main__":
    main()

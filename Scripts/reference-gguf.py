#!/usr/bin/env python3
"""Perplexity and greedy ids of a GGUF model by transformers' own reader of the file, in float32.

  pip install -r Scripts/requirements.txt accelerate
  sluice tokenize -m model.gguf --json -f text.txt | Scripts/reference-gguf.py model.gguf --begin 2 [--greedy 24]

Ids come on standard input; `--begin` is the begin-of-sequence token that is put in front of them.
"""
import argparse
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--begin", type=int)
    parser.add_argument("--greedy", type=int, default=0)
    options = parser.parse_args()
    ids = ([] if options.begin is None else [options.begin]) + json.load(sys.stdin)
    model = AutoModelForCausalLM.from_pretrained(
        options.model.parent, gguf_file=options.model.name, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]))
        print(f"perplexity {torch.exp(loss).item():.4f} over {len(ids) - 1} tokens")
        answer = []
        for _ in range(options.greedy):
            answer.append(int(model(torch.tensor([ids + answer])).logits[0, -1].argmax()))
    if answer:
        print(answer)


if __name__ == "__main__":
    main()

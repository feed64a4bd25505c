"""Writes small models with a memory, an adapter that brings gates, and what PyTorch makes of them, for Sluice's tests.

The weights are random and as large as those of a trained model, so that a wrong head or a swapped segment shows.
"""

import dataclasses
import json
from pathlib import Path

import torch

from . import export, lowrank, weights
from .config import AdapterConfig, InfiniConfig, ModelConfig
from .model import Llama

SEGMENTS = 64
CONFIG = ModelConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, layers=2, heads=4, kv_heads=2, head_dim=16, trained_length=8,
    tied=False, infini=InfiniConfig(segment=8))


def random_model(config, seed):
    torch.manual_seed(seed)
    model = Llama(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("infini_gate"):
                parameter.normal_()
            else:
                parameter.normal_(std=0.25)
    return model.eval()


@torch.no_grad()
def record(model, ids):
    """Six logits after each token of 64 segments, other ones each time: `[token]["index"]`."""
    logits, _ = model(torch.tensor([ids]))
    size = model.config.vocab_size
    rows = []
    for token, row in enumerate(logits[0].tolist()):
        rows.append({str(index): float(f"{row[index]:.7g}") for index in sorted({(token * 7 + step * 11) % size for step in range(6)})})
    return rows


def write_logits(path, target):
    """What PyTorch makes of a model file over 64 segments of random tokens: logits after every 61st token and the last."""
    config, state = weights.load(path)
    model = Llama(config).eval()
    model.load_state_dict(state)
    count = SEGMENTS * config.infini.segment
    generator = torch.Generator().manual_seed(21)
    ids = torch.randint(config.vocab_size, (count,), generator=generator).tolist()
    rows = record(model, ids)
    kept = {str(token): rows[token] for token in [*range(0, count, 61), count - 1]}
    Path(target).write_text(json.dumps({"ids": ids, "logits": kept}, separators=(",", ":")) + "\n")


def write(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(20)
    count = SEGMENTS * CONFIG.infini.segment
    ids = torch.randint(CONFIG.vocab_size, (count,), generator=generator).tolist()
    cases = {}
    for seed, (update, first, form) in enumerate([
        ("linear", "bypass", "folder"), ("delta", "bypass", "gguf"), ("linear", "scaled", "gguf"),
        ("delta", "scaled", "folder")]):
        infini = dataclasses.replace(CONFIG.infini, update=update, first_segment=first)
        model = random_model(dataclasses.replace(CONFIG, infini=infini), seed)
        name = f"infini-{update}-{first}" + (".gguf" if form == "gguf" else "")
        if form == "gguf":
            export.write_gguf(model.config, model.state_dict(), None, folder / name)
        else:
            export.write_folder(model.config, model.state_dict(), None, folder / name)
        cases[name] = {"logits": record(model, ids)}
    plain = random_model(dataclasses.replace(CONFIG, infini=None), 9)
    export.write_folder(plain.config, plain.state_dict(), None, folder / "infini-base")
    gated = random_model(dataclasses.replace(CONFIG, infini=dataclasses.replace(CONFIG.infini, update="delta")), 10)
    gated.load_state_dict(plain.state_dict(), strict=False)
    adapter = AdapterConfig(rank=2, alpha=4.0)
    lowrank.adapt(gated, adapter)
    for name, parameter in gated.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.normal_(std=0.1)
    state = lowrank.adapter_state(gated)
    export.write_adapter_folder(gated.config, adapter, state, folder / "infini-adapter")
    export.write_adapter_gguf(gated.config, adapter, state, folder / "infini-adapter.gguf")
    cases["infini-base"] = {"logits": record(gated, ids)}
    (folder / "infini.json").write_text(json.dumps({"ids": ids, "cases": cases}, separators=(",", ":")) + "\n")

"""Random low-rank adapters of the tiny Llama models, and the logits with them; part of record-golden.py."""
import json
import pathlib
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

from golden_llama import (GOLDEN, MODELS, POSITIONS, configuration, gguf_name, interleave_heads, logits_of, numbers,
                          tiny_weights, token_ids)

# Low-rank adapters: seed, the base that gives the shapes, ranks by the ends of modules' names, and the configuration.
ATTENTION = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
FEED_FORWARD = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
PATTERNS = {"down_proj": 3, "model.layers.1.self_attn.q_proj": 9}
ADAPTERS = {
    "everything": dict(seed=20, base="llama3-rope", modules=ATTENTION + FEED_FORWARD, head=True, rank=4, alpha=6,
                       patterns=PATTERNS, rslora=True),
    "attention.gguf": dict(seed=21, base="llama3-rope", modules=ATTENTION, rank=3, alpha=5),
    "tied-head": dict(seed=22, base="grouped-tied", modules=["self_attn.v_proj"], head=True, rank=2, alpha=2),
}
ADAPTER_CASES = [(base, adapters) for base in ("llama3-rope", "llama3-rope.gguf")
                 for adapters in ([("everything", 1)], [("attention.gguf", -0.5)],
                                  [("everything", 0.75), ("attention.gguf", 1)])]
ADAPTER_CASES.append(("grouped-tied", [("tied-head", 1)]))


def adapter_factors(seed, base, modules, rank, head=False, **_):
    """Random (module, A, B): about as large as the weights that they change."""
    random = np.random.Generator(np.random.PCG64(seed))
    shape = MODELS[base]["shape"]
    sizes = {name: x.shape for name, x in tiny_weights(0, shape).items()}
    names = [f"model.layers.{layer}.{module}" for layer in range(shape[1]) for module in modules]
    for name in names + (["lm_head"] if head else []):
        rows, columns = sizes[name + ".weight"]
        ranks = rank - 1 if name == "lm_head" else rank
        yield (name, (random.standard_normal((ranks, columns)) / columns**0.5).astype(np.float16),
               (random.standard_normal((rows, ranks)) / 2).astype(np.float16))


def adapter_alpha(name, alpha, patterns=(), **_):
    return next((patterns[end] for end in patterns if f".{name}".endswith(f".{end}")), alpha)


def write_adapter(path, **adapter):
    path.parent.mkdir(exist_ok=True)
    factors = list(adapter_factors(**adapter))
    if path.suffix == ".gguf":
        heads, kv_heads = MODELS[adapter["base"]]["shape"][2:4]
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter["alpha"])
        for name, a, b in factors:
            permuted = {"q_proj": heads, "k_proj": kv_heads}.get(name.split(".")[-1])
            writer.add_tensor(gguf_name(name + ".weight") + ".lora_a", a)
            writer.add_tensor(gguf_name(name + ".weight") + ".lora_b", interleave_heads(b, permuted) if permuted else b)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return
    path.mkdir(exist_ok=True)
    tensors = {}
    for name, a, b in factors:
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.from_numpy(a)
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.from_numpy(b)
    save_file(tensors, path / "adapter_model.safetensors", {"format": "pt"})
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": adapter["rank"], "lora_alpha": adapter["alpha"],
              "bias": "none", "fan_in_fan_out": False, "use_dora": False, "use_rslora": adapter.get("rslora", False),
              "modules_to_save": None, "alpha_pattern": adapter.get("patterns", {}),
              "rank_pattern": {"lm_head": adapter["rank"] - 1} if adapter.get("head") else {},
              "target_modules": sorted({name.split(".")[-1] for name, _, _ in factors})}
    (path / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")


def adapter_deltas(scale, **adapter):
    """scale * alpha / rank * B A of every module; alpha / sqrt(rank) with rslora."""
    for name, a, b in adapter_factors(**adapter):
        rank = a.shape[0]**(0.5 if adapter.get("rslora") else 1)
        product = b.astype(np.float32) @ a.astype(np.float32)
        yield name, np.float32(scale * adapter_alpha(name, **adapter) / rank) * product


def record_adapters():
    ids = token_ids()
    for name, adapter in ADAPTERS.items():
        write_adapter(GOLDEN / "adapters" / name, **adapter)
    cases = []
    for base, adapters in ADAPTER_CASES:
        deltas = [delta for name, scale in adapters for delta in adapter_deltas(scale, **ADAPTERS[name])]
        with tempfile.TemporaryDirectory() as folder:
            if base.endswith(".gguf"):  # the weights that it holds, in float16
                model = MODELS[base.removesuffix(".gguf")]
                weights = tiny_weights(1, model["shape"])
                weights = {k: x.astype(np.float16).astype(np.float32) if x.ndim > 1 else x for k, x in weights.items()}
                (pathlib.Path(folder) / "config.json").write_text(json.dumps(configuration(**model)))
                save_file({k: torch.from_numpy(x) for k, x in weights.items()}, folder + "/model.safetensors",
                          {"format": "pt"})
            logits = logits_of(folder if base.endswith(".gguf") else GOLDEN / base, ids, deltas)
        named = [{"name": name, "scale": scale} for name, scale in adapters]
        rows = ",\n   ".join(numbers(logits[p]) for p in POSITIONS[2:])
        cases.append(f'{{"base": "{base}", "adapters": {json.dumps(named)},\n  "logits": [\n   {rows}]}}')
    (GOLDEN / "adapters/golden.json").write_text(
        f'{{"ids": {json.dumps(ids)},\n "positions": {json.dumps(POSITIONS[2:])},\n "cases": [\n '
        + ",\n ".join(cases) + "]}\n")

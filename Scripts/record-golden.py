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
import shutil
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from golden_families import record_families
from llama_gguf import load_model, load_tokenizer

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelsTests/Golden"
VOCABULARY = 96
POSITIONS = [0, 7, 31, 47]
LINEAR = {"rope_type": "linear", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 40}

# (hidden, layers, heads, KV heads, head dimension, feed-forward) and what differs from Llama 2.
MODELS = {
    "grouped-tied": dict(shape=(64, 2, 8, 2, 8, 96), tied=True),
    "llama3-rope": dict(shape=(32, 2, 8, 4, 16, 64), theta=500000.0, scaling=LLAMA3),
    "linear-rope": dict(shape=(32, 3, 8, 8, 8, 64), scaling=LINEAR),
    "attention-bias": dict(shape=(32, 2, 4, 2, 8, 64), bias=True),
    "bfloat16": dict(shape=(32, 2, 4, 2, 8, 64), dtype=torch.bfloat16),
    "float16": dict(shape=(32, 2, 4, 1, 8, 64), dtype=torch.float16, tied=True),
    "sharded": dict(shape=(32, 2, 4, 2, 8, 64), theta=500000.0, scaling=LLAMA3, shards=3),
}


def tiny_weights(seed, shape, tied=False, bias=False):
    """Random weights under their Hugging Face names; queries and keys are large enough for attention to be uneven."""
    hidden, layers, heads, kv_heads, head_dim, ff = shape
    random = np.random.Generator(np.random.PCG64(seed))

    def matrix(rows, columns, gain=1.0):
        return (random.standard_normal((rows, columns)) * gain / columns**0.5).astype(np.float32)

    def vector(count, mean, deviation):
        return (mean + deviation * random.standard_normal(count)).astype(np.float32)

    weights = {"model.embed_tokens.weight": matrix(VOCABULARY, hidden, 2.0 if tied else hidden**0.5)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        attention = {"q": (heads * head_dim, hidden, 2.0), "k": (kv_heads * head_dim, hidden, 2.0),
                     "v": (kv_heads * head_dim, hidden, 1.0), "o": (hidden, heads * head_dim, 1.0)}
        for name, (rows, columns, gain) in attention.items():
            weights[f"{prefix}self_attn.{name}_proj.weight"] = matrix(rows, columns, gain)
            if bias:
                weights[f"{prefix}self_attn.{name}_proj.bias"] = vector(rows, 0, 0.5)
        for name, (rows, columns) in {"gate": (ff, hidden), "up": (ff, hidden), "down": (hidden, ff)}.items():
            weights[f"{prefix}mlp.{name}_proj.weight"] = matrix(rows, columns, 2.0)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{prefix}{name}.weight"] = vector(hidden, 1, 0.2)
    weights["model.norm.weight"] = vector(hidden, 1, 0.2)
    if not tied:
        weights["lm_head.weight"] = matrix(VOCABULARY, hidden, 2.0)
    return weights


def configuration(shape, theta=10000.0, scaling=None, tied=False, bias=False, dtype=torch.float32, shards=1):
    hidden, layers, heads, kv_heads, head_dim, ff = shape
    values = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": ff, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "rms_norm_eps": 1e-5, "vocab_size": VOCABULARY,
        "max_position_embeddings": 256, "tie_word_embeddings": tied, "attention_bias": bias, "mlp_bias": False,
        "bos_token_id": 1, "eos_token_id": 2,
    }
    if head_dim * heads != hidden:
        values["head_dim"] = head_dim
    kind = str(dtype).removeprefix("torch.")
    if shards > 1:  # as transformers 5 writes it
        values |= {"dtype": kind, "rope_parameters": {"rope_theta": theta, **(scaling or {"rope_type": "default"})}}
    else:  # as models have carried it since Llama 2
        values |= {"torch_dtype": kind, "rope_theta": theta, "rope_scaling": scaling}
    return values


def write_hugging_face(folder, seed, **model):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration(**model), indent=1) + "\n")
    weights = tiny_weights(seed, model["shape"], model.get("tied", False), model.get("bias", False))
    tensors = {name: torch.from_numpy(x).to(model.get("dtype", torch.float32)) for name, x in weights.items()}
    shards = model.get("shards", 1)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return
    names, total = sorted(tensors), sum(x.nbytes for x in tensors.values())
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= {name: file for name in part}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def gguf_name(name):
    parts = name.split(".")
    if parts[1] != "layers":
        return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
                "lm_head.weight": "output.weight"}[name]
    inner = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q",
             "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
             "up_proj": "ffn_up", "down_proj": "ffn_down"}[parts[-2]]
    return f"blk.{parts[2]}.{inner}.{parts[-1]}"


def interleave_heads(rows, heads):
    """Orders each head's rows from the rotate-half layout to the interleaved one of Llama GGUF files."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def write_gguf(path, config, weights, type_of, rope_factors=None):
    """Writes a Llama GGUF; `type_of(name, shape)` chooses each matrix's type. Returns the weights as stored."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", config["hidden_size"] // heads)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(path.stem)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    if rope_factors is not None:
        writer.add_tensor("rope_freqs.weight", rope_factors)
    stored = {}
    for name, x in weights.items():
        kind = gguf.GGMLQuantizationType.F32 if x.ndim == 1 else type_of(name, x.shape)
        permuted = {"q_proj": heads, "k_proj": kv_heads}.get(name.split(".")[-2])
        order = np.arange(x.shape[0])[:, None]
        if permuted:
            order = interleave_heads(order, permuted)
        data = gguf.quantize(x[order[:, 0]], kind)
        writer.add_tensor(gguf_name(name), data, raw_dtype=kind)
        stored[name] = np.empty_like(x)
        stored[name][order[:, 0]] = gguf.dequantize(data, kind).reshape(x.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return stored


def llama3_factors(config):
    """The divisors of the rotary frequencies that converters store for Llama 3 in `rope_freqs.weight`."""
    scaling, head_dim = config["rope_scaling"], config["head_dim"]
    wavelengths = 2 * np.pi * config["rope_theta"] ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
    original, low, high = (scaling[key] for key in
                           ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    smooth = np.clip((original / wavelengths - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / scaling["factor"] + smooth)).astype(np.float32)


def logits_of(folder, ids, deltas=()):
    """Logits of a model; `deltas` are (module, matrix) to add to its weights, which unties an output matrix."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.inference_mode():
        for name, delta in deltas:
            module = model.get_submodule(name)
            module.weight = torch.nn.Parameter(module.weight + torch.from_numpy(delta))
        return model(torch.tensor([ids])).logits[0].numpy()


def numbers(values):
    """Shortest decimals that read back as the same float32."""
    texts = [str(x) if np.isfinite(x) else "null" for x in np.asarray(values, np.float32).ravel()]
    return "[" + ", ".join(texts) + "]"


def write_logits(path, ids, logits, positions=POSITIONS):
    rows = ",\n  ".join(numbers(logits[p]) for p in positions)
    path.write_text(f'{{"ids": {json.dumps(ids)},\n "positions": {json.dumps(positions)},\n "logits": [\n  {rows}]}}\n')


def record_models():
    random = np.random.Generator(np.random.PCG64(0))
    ids = [1] + random.integers(3, VOCABULARY, 47).tolist()
    for seed, (name, model) in enumerate(MODELS.items()):
        folder = GOLDEN / name
        write_hugging_face(folder, seed, **model)
        write_logits(folder / "golden.json", ids, logits_of(folder, ids))

    # Llama 3 as its converters write it: the scaling is a tensor of divisors, not metadata.
    config = configuration(**MODELS["llama3-rope"])
    weights = tiny_weights(1, MODELS["llama3-rope"]["shape"])
    record_gguf("llama3-rope.gguf", ids, config, weights, lambda *_: gguf.GGMLQuantizationType.F16,
                llama3_factors(config))
    record_adapters(ids)

    def mixed(name, shape):
        kind = gguf.GGMLQuantizationType
        if "embed" in name or "v_proj" in name or "gate" in name:
            return kind.Q8_0
        return kind.BF16 if "k_proj" in name else kind.Q4_1

    model = MODELS["grouped-tied"]
    record_gguf("quantised.gguf", ids, configuration(**model), tiny_weights(0, model["shape"], tied=True), mixed)


def record_gguf(file, ids, config, weights, type_of, rope_factors=None):
    """Writes one GGUF and the logits of the weights it really holds."""
    stored = write_gguf(GOLDEN / file, config, weights, type_of, rope_factors)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        save_file({name: torch.from_numpy(x) for name, x in stored.items()}, folder + "/model.safetensors",
                  {"format": "pt"})
        write_logits(GOLDEN / (file + ".golden.json"), ids, logits_of(folder, ids))


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


def record_adapters(ids):
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


# Bytes of a block and where its float16 scales are; the rest of a block may hold any bits.
BLOCKS = {"F16": (2, []), "BF16": (2, []), "Q8_0": (34, [0]), "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]),
          "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]), "Q2_K": (84, [80, 82]), "Q3_K": (110, [108]),
          "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]), "IQ4_NL": (18, [0]),
          "IQ4_XS": (136, [0]), "MXFP4": (17, [])}


def record_blocks():
    """Random bits with finite scales (one negative, one zero, one subnormal) and what they stand for."""
    random = np.random.Generator(np.random.PCG64(7))
    lines = []
    for name, (size, scales) in BLOCKS.items():
        kind = gguf.GGMLQuantizationType[name]
        count = 2 if size > 34 else 4
        if size == 2:
            special = {"F16": [0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0x3C00],
                       "BF16": [0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0x3F80]}[name]
            values = np.float32(random.standard_normal(58))
            bits = values.astype(np.float16).view(np.uint16) if name == "F16" else values.view(np.uint32) >> 16
            data = np.concatenate([special, bits]).astype("<u2").view(np.uint8)
        else:
            data = random.integers(0, 256, (count, size)).astype(np.uint8)
            for offset in scales:
                scale = (0.02 * random.standard_normal(count)).astype("<f2")
                scale[0], scale[1] = abs(scale[0]), -abs(scale[1])
                if count > 2:
                    scale[2:4] = 0, 5e-6
                data[:, offset:offset + 2] = scale.view(np.uint8).reshape(count, 2)
            if name == "MXFP4":  # the smallest scale of all, which is denormal as the next, and large ones
                data[:, 0] = [0, 1, 121, 230]
        values = gguf.dequantize(data.reshape(-1), kind)
        lines.append(f'"{name}": {{"bytes": "{data.tobytes().hex()}",\n  "values": {numbers(values)}}}')
    (GOLDEN / "blocks.json").write_text("{" + ",\n".join(lines) + "}\n")


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
    record_families()
    record_blocks()
    if arguments.default_model:
        record_default_model(arguments.default_model, "smollm2-logits.json")
        if arguments.adapter:
            record_default_model(arguments.default_model, "smollm2-recall-logits.json", arguments.adapter)
    print(f"recorded into {GOLDEN}")


if __name__ == "__main__":
    main()

"""Tiny random Llama models as Hugging Face directories and GGUF files, with their logits; part of record-golden.py."""
import json
import pathlib
import shutil
import tempfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

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


def token_ids():
    """The text of all these models."""
    random = np.random.Generator(np.random.PCG64(0))
    return [1] + random.integers(3, VOCABULARY, 47).tolist()


def record_models():
    ids = token_ids()
    for seed, (name, model) in enumerate(MODELS.items()):
        folder = GOLDEN / name
        write_hugging_face(folder, seed, **model)
        write_logits(folder / "golden.json", ids, logits_of(folder, ids))

    # Llama 3 as its converters write it: the scaling is a tensor of divisors, not metadata.
    config = configuration(**MODELS["llama3-rope"])
    weights = tiny_weights(1, MODELS["llama3-rope"]["shape"])
    record_gguf("llama3-rope.gguf", ids, config, weights, lambda *_: gguf.GGMLQuantizationType.F16,
                llama3_factors(config))

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

#!/usr/bin/env python3
"""Records tiny random models of the families beside Llama, through transformers' own classes.

Part of record-golden.py, which says what is needed; run by itself it records these models alone. Each model is a
Hugging Face directory with logits beside it, and where GGUF can say the same, a GGUF file of the same weights with
the names of the gguf package.
"""
import json
import pathlib
import shutil

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPTNeoXConfig

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelsTests/Golden"
POSITIONS = [0, 7, 31, 47]
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=256)
LINEAR = {"rope_type": "linear", "factor": 8.0}
WINDOWED = ["sliding_attention", "full_attention", "sliding_attention"]

# A window is shorter than the text of 48 tokens. "old" keys are those of files that are older than transformers 5, and
# `prefix` is what stands before the names of a text model inside of one that also sees images.
MODELS = {
    "gptneox": dict(
        config=GPTNeoXConfig(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                             intermediate_size=64, rope_parameters={"rope_theta": 10000.0,
                                                                    "partial_rotary_factor": 0.25}, **TOKENS),
        gguf="gptneox"),
    "gptneox-sequential": dict(
        config=GPTNeoXConfig(vocab_size=97, hidden_size=72, num_hidden_layers=2, num_attention_heads=3,
                             intermediate_size=40, use_parallel_residual=False, hidden_act="gelu_fast",
                             rope_parameters={"rope_theta": 500.0, "partial_rotary_factor": 0.5,
                                              "rope_type": "linear", "factor": 2.0}, **TOKENS),
        old={"rotary_pct": 0.5, "rotary_emb_base": 500, "rope_scaling": {"type": "linear", "factor": 2.0}}),
    "gemma3": dict(
        config=Gemma3TextConfig(vocab_size=96, hidden_size=32, num_hidden_layers=7, num_attention_heads=4,
                                num_key_value_heads=2, head_dim=8, intermediate_size=48, sliding_window=9,
                                query_pre_attn_scalar=8, **TOKENS),
        gguf="gemma3"),
    "gemma3-images": dict(
        config=Gemma3TextConfig(vocab_size=97, hidden_size=48, num_hidden_layers=3, num_attention_heads=3,
                                num_key_value_heads=1, head_dim=24, intermediate_size=40, sliding_window=5,
                                layer_types=WINDOWED, query_pre_attn_scalar=17, final_logit_softcapping=3.0,
                                rope_parameters={"full_attention": {"rope_theta": 2000.0, **LINEAR},
                                                 "sliding_attention": {"rope_theta": 50.0, "rope_type": "default"}},
                                **TOKENS),
        old={"rope_theta": 2000.0, "rope_local_base_freq": 50.0, "rope_scaling": {"type": "linear", "factor": 8.0}},
        prefix="language_model."),
}


def fill(model, seed):
    """Random weights, rounded to float16; queries and keys are large enough for attention to be uneven."""
    random = np.random.Generator(np.random.PCG64(seed))
    for name, parameter in sorted(model.named_parameters()):
        shape = tuple(parameter.shape)
        x = random.standard_normal(shape)
        if len(shape) == 2:
            gain = 2.0 if any(part in name for part in ("q_proj", "k_proj", "query_key_value", "embed")) else 1.0
            x *= gain / shape[1]**0.5
        else:
            # Gemma's norms multiply by 1 + w.
            plain = name.startswith("gpt_neox")
            x = 0.2 * x + (1 if plain and "norm" in name and name.endswith("weight") else 0)
        parameter.data = torch.from_numpy(x.astype(np.float16).astype(np.float32))


def record(name, seed, config, gguf_architecture=None, old=None, prefix=""):
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    fill(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # As users have it: from what was stored, in float32.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    random = np.random.Generator(np.random.PCG64(100 + seed))
    ids = [1] + random.integers(3, config.vocab_size, 47).tolist()
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].numpy()
    weights = {key: x.float().numpy() for key, x in load_file(folder / "model.safetensors").items()}
    if gguf_architecture:
        write_gguf(GOLDEN / f"{name}.gguf", gguf_architecture, model.config, weights)
        write_logits(GOLDEN / f"{name}.gguf.golden.json", ids, logits)
    stored = {prefix + key: torch.from_numpy(x).to(torch.float16) for key, x in weights.items()}
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    values = json.loads((folder / "config.json").read_text())
    values["dtype"] = "float16"
    if old:
        del values["rope_parameters"]
        values |= old
    if prefix:
        values = {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": values,
                  "vision_config": {"hidden_size": 16, "model_type": "siglip_vision_model"}}
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")
    write_logits(folder / "golden.json", ids, logits)


def write_gguf(path, architecture, config, weights):
    """As llama.cpp's converters write it: F16 matrices, F32 vectors."""
    writer = gguf.GGUFWriter(path, architecture)
    layers = config.num_hidden_layers
    writer.add_name(path.stem)
    writer.add_block_count(layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if architecture == "gptneox":
        writer.add_rope_dimension_count(int(config.rope_parameters["partial_rotary_factor"]
                                            * (config.hidden_size // config.num_attention_heads)))
        writer.add_parallel_residual(config.use_parallel_residual)
        writer.add_layer_norm_eps(config.layer_norm_eps)
    else:
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
        writer.add_sliding_window(config.sliding_window)
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), layers)
    for name, x in weights.items():
        if architecture == "gemma3" and name.endswith("norm.weight"):
            x = x + np.float32(1)
        if "query_key_value" in name:
            heads = config.num_attention_heads
            x = np.concatenate(list(x.reshape(heads, 3, x.shape[0] // heads // 3, *x.shape[1:]).swapaxes(0, 1)))
            x = x.reshape(weights[name].shape)
        data = x.astype(np.float16) if x.ndim == 2 else x
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_logits(path, ids, logits):
    rows = ",\n  ".join("[" + ", ".join(str(x) for x in np.asarray(logits[p], np.float32)) + "]" for p in POSITIONS)
    path.write_text(f'{{"ids": {json.dumps(ids)},\n "positions": {json.dumps(POSITIONS)},\n "logits": [\n  {rows}]}}\n')


def record_families():
    for seed, (name, model) in enumerate(MODELS.items()):
        record(name, 50 + seed, model["config"], model.get("gguf"), model.get("old"), model.get("prefix", ""))


if __name__ == "__main__":
    record_families()

#!/usr/bin/env python3
"""Records tiny random models of the families beside Llama, through transformers' own classes.

Part of record-golden.py, which says what is needed; run by itself it records these models alone. Each model is a
Hugging Face directory with logits beside it, and where GGUF can say the same, a GGUF file of the same weights with
the names of the gguf package.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import gguf
import numpy as np
import torch
import transformers as t
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPTNeoXConfig
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from golden_gguf import write_gguf

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelsTests/Golden"
POSITIONS = [0, 7, 31, 47]
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=256)
LINEAR = {"rope_type": "linear", "factor": 8.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1000.0, "original_max_position_embeddings": 64}
GROWING = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1000.0, "original_max_position_embeddings": 12,
           "beta_fast": 4.0, "beta_slow": 0.5, "llama_4_scaling_beta": 0.4}
LONG = {"rope_type": "longrope", "rope_theta": 1000.0, "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [1.5, 2.0, 3.0, 4.0], "original_max_position_embeddings": 32}
BASE = dict(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=48, **TOKENS)
ODD = dict(vocab_size=97, hidden_size=72, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1,
           intermediate_size=40, **TOKENS)
RECURRENT = ["linear_attention"] * 3 + ["full_attention"]
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
    "gemma4": dict(
        seed=54,
        config=t.Gemma4TextConfig(**(BASE | {"num_hidden_layers": 6}), head_dim=8, global_head_dim=16,
                                  num_global_key_value_heads=1, num_kv_shared_layers=2, use_double_wide_mlp=True,
                                  hidden_size_per_layer_input=8, vocab_size_per_layer_input=96, sliding_window=9,
                                  layer_types=["sliding_attention", "full_attention"] * 3,
                                  final_logit_softcapping=4.0), gguf="gemma4"),
    "gemma4-moe": dict(
        seed=55,
        config=t.Gemma4TextConfig(**(BASE | {"num_hidden_layers": 4}), head_dim=12, global_head_dim=24,
                                  num_global_key_value_heads=1, attention_k_eq_v=True, hidden_size_per_layer_input=0,
                                  enable_moe_block=True, num_experts=5, top_k_experts=2, moe_intermediate_size=16,
                                  sliding_window=7, layer_types=["sliding_attention", "full_attention"] * 2),
        gguf="gemma4"),
    "mixtral": dict(config=t.MixtralConfig(**BASE, num_local_experts=5, num_experts_per_tok=2), gguf="llama"),
    "llama-yarn": dict(config=t.LlamaConfig(**BASE, rope_parameters=YARN), gguf="llama"),
    "qwen2": dict(config=t.Qwen2Config(**BASE, tie_word_embeddings=True), gguf="qwen2"),
    "qwen2-windowed": dict(config=t.Qwen2Config(**ODD, use_sliding_window=True, sliding_window=7, max_window_layers=1)),
    "qwen3": dict(config=t.Qwen3Config(**BASE, head_dim=16), gguf="qwen3"),
    "qwen3-moe": dict(config=t.Qwen3MoeConfig(**BASE, head_dim=8, num_experts=6, num_experts_per_tok=3,
                                              moe_intermediate_size=24, norm_topk_prob=True), gguf="qwen3moe"),
    "qwen3-moe-sparse": dict(config=t.Qwen3MoeConfig(**ODD, num_experts=4, num_experts_per_tok=2, head_dim=24,
                                                     moe_intermediate_size=16, decoder_sparse_step=2)),
    "gemma": dict(config=t.GemmaConfig(**BASE, head_dim=8), gguf="gemma"),
    "gemma2": dict(config=t.Gemma2Config(**BASE, head_dim=8, sliding_window=9, query_pre_attn_scalar=8,
                                         attn_logit_softcapping=3.0, final_logit_softcapping=4.0), gguf="gemma2"),
    "gemma2-odd": dict(config=t.Gemma2Config(**ODD, head_dim=24, sliding_window=5, query_pre_attn_scalar=17,
                                             attn_logit_softcapping=2.0)),
    "gpt-oss": dict(config=t.GptOssConfig(**BASE, head_dim=8, num_local_experts=4, num_experts_per_tok=2,
                                          sliding_window=9, rope_parameters=YARN | {"truncate": False}),
                    gguf="gpt-oss"),
    "phi3": dict(config=t.Phi3Config(**BASE, original_max_position_embeddings=32, rope_parameters=LONG), gguf="phi3"),
    "phi3-partial": dict(config=t.Phi3Config(**ODD, tie_word_embeddings=True, original_max_position_embeddings=32,
                                             rope_parameters=LONG | {"partial_rotary_factor": 0.5,
                                                                     "short_factor": [1.0] * 6,
                                                                     "long_factor": [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]})),
    "falcon": dict(config=t.FalconConfig(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                         multi_query=True, **TOKENS), gguf="falcon"),
    "falcon-groups": dict(config=t.FalconConfig(vocab_size=97, hidden_size=48, num_hidden_layers=2,
                                                num_attention_heads=4, num_kv_heads=2, new_decoder_architecture=True,
                                                **TOKENS), gguf="falcon"),
    "mpt": dict(config=t.MptConfig(d_model=32, n_heads=4, n_layers=2, max_seq_len=256, vocab_size=96), gguf="mpt"),
    "mpt-odd": dict(config=t.MptConfig(d_model=72, n_heads=3, n_layers=2, max_seq_len=256, vocab_size=97,
                                       attn_config={"clip_qkv": 1.0}), gguf="mpt"),
    "granite": dict(config=t.GraniteConfig(**BASE, attention_multiplier=0.2, embedding_multiplier=3.0,
                                           residual_multiplier=0.5, logits_scaling=2.0), gguf="granite"),
    "granite-moe": dict(config=t.GraniteMoeConfig(**BASE, num_local_experts=4, num_experts_per_tok=2,
                                                  attention_multiplier=0.3, residual_multiplier=0.7),
                        gguf="granitemoe"),
    "olmo2": dict(config=t.Olmo2Config(**BASE), gguf="olmo2"),
    "olmo3": dict(config=t.Olmo3Config(**ODD, sliding_window=9, layer_types=WINDOWED)),
    "smollm3": dict(config=t.SmolLM3Config(**(BASE | {"num_hidden_layers": 4})), gguf="smollm3"),
    "lfm2": dict(config=t.Lfm2Config(**BASE, layer_types=["conv", "full_attention"], block_multiple_of=16),
                 gguf="lfm2"),
    "lfm2-moe": dict(config=t.Lfm2MoeConfig(**(BASE | {"num_hidden_layers": 3}), num_experts=4, num_experts_per_tok=2,
                                            moe_intermediate_size=24, num_dense_layers=1, conv_L_cache=4,
                                            layer_types=["conv", "full_attention", "conv"]), gguf="lfm2moe"),
    "qwen35": dict(config=t.Qwen3_5TextConfig(**(BASE | {"num_hidden_layers": 4}), head_dim=16, linear_key_head_dim=8,
                                              linear_value_head_dim=8, linear_num_key_heads=2,
                                              linear_num_value_heads=4, layer_types=RECURRENT), gguf="qwen35"),
    "qwen35-moe": dict(config=t.Qwen3_5MoeTextConfig(**(BASE | {"num_hidden_layers": 4}), head_dim=8, linear_key_head_dim=12,
                                                     linear_value_head_dim=20, linear_num_key_heads=2,
                                                     linear_num_value_heads=2, num_experts=5, num_experts_per_tok=2,
                                                     moe_intermediate_size=24, shared_expert_intermediate_size=16,
                                                     layer_types=RECURRENT), gguf="qwen35moe"),
    "ministral3": dict(
        seed=91,
        config=t.Ministral3Config(**BASE, head_dim=12, rope_parameters=GROWING | {"mscale": 1.0, "mscale_all_dim": 1.0}),
        gguf="mistral3"),
    "mistral3-growing": dict(seed=92, config=t.Ministral3Config(**ODD, head_dim=24, rope_parameters=GROWING),
                             gguf="mistral3", wrapper="mistral3", prefix="language_model."),
    "mistral3": dict(seed=93, config=t.MistralConfig(**ODD, sliding_window=None, tie_word_embeddings=True),
                     wrapper="mistral3", prefix="language_model."),
    "cohere": dict(seed=94, config=t.CohereConfig(**BASE, logit_scale=0.25), gguf="command-r"),
    "cohere2": dict(seed=95, config=t.Cohere2Config(**(ODD | {"num_hidden_layers": 5}), sliding_window=7), gguf="cohere2"),
    "starcoder2": dict(seed=96, config=t.Starcoder2Config(**BASE), gguf="starcoder2"),
    "starcoder2-untied": dict(seed=97, config=t.Starcoder2Config(**ODD, tie_word_embeddings=False), gguf="starcoder2"),
    "stablelm": dict(seed=98, config=t.StableLmConfig(**(BASE | {"hidden_size": 64})), gguf="stablelm"),
    "stablelm-parallel": dict(seed=99, config=t.StableLmConfig(**ODD, use_qkv_bias=True, use_parallel_residual=True,
                                                               partial_rotary_factor=0.5), gguf="stablelm"),
    "phi2": dict(seed=100, config=t.PhiConfig(**BASE), gguf="phi2"),
    "phi2-odd": dict(seed=101, config=t.PhiConfig(**ODD, partial_rotary_factor=0.75)),
    "qwen2-moe": dict(seed=102, config=t.Qwen2MoeConfig(**(BASE | {"num_hidden_layers": 3}), num_experts=5,
                                                        num_experts_per_tok=2, moe_intermediate_size=24,
                                                        shared_expert_intermediate_size=40), gguf="qwen2moe"),
    "qwen2-moe-sparse": dict(seed=103, config=t.Qwen2MoeConfig(**ODD, num_experts=4, num_experts_per_tok=3,
                                                               moe_intermediate_size=16, norm_topk_prob=True,
                                                               shared_expert_intermediate_size=24, mlp_only_layers=[1])),
    "seed-oss": dict(seed=104, config=t.SeedOssConfig(**BASE, head_dim=8), gguf="seed_oss"),
    "ernie45": dict(seed=105, config=t.Ernie4_5Config(**BASE, head_dim=12), gguf="ernie4_5"),
    "glm4": dict(seed=106, config=t.Glm4Config(**BASE, head_dim=8), gguf="glm4"),
    "glm4-odd": dict(seed=107, config=t.Glm4Config(**ODD, head_dim=20, partial_rotary_factor=0.8)),
    "exaone4": dict(seed=108, config=t.Exaone4Config(**(BASE | {"num_hidden_layers": 5}), sliding_window=7), gguf="exaone4"),
    "exaone4-global": dict(seed=109, config=t.Exaone4Config(
        **ODD, sliding_window=None, layer_types=["full_attention"] * 3), gguf="exaone4"),
    "granite4": dict(seed=110, config=t.GraniteMoeHybridConfig(
        **BASE, layer_types=["full_attention"] * 2, num_local_experts=0, shared_intermediate_size=56,
        position_embedding_type="rope", attention_multiplier=0.25, residual_multiplier=0.6, logits_scaling=3.0,
        embedding_multiplier=2.0, mamba_n_heads=4, tie_word_embeddings=True), gguf="granite"),
    "granite4-unturned": dict(seed=111, config=t.GraniteMoeHybridConfig(
        **ODD, layer_types=["full_attention"] * 3, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=24,
        mamba_n_heads=4)),
    "gpt-oss-mxfp4": dict(seed=82, config=t.GptOssConfig(**(BASE | {"hidden_size": 64, "intermediate_size": 96}), head_dim=16,
                                                num_local_experts=4, num_experts_per_tok=2, sliding_window=9,
                                                rope_parameters=YARN | {"truncate": False}), has_mxfp4=True),
}


def fill(model, seed):
    """Random weights, rounded to float16; queries and keys are large enough for attention to be uneven."""
    random = np.random.Generator(np.random.PCG64(seed))
    # What Gemma 4 multiplies a layer by is no parameter.
    scalars = [(name, buffer) for name, buffer in model.named_buffers() if name.endswith("layer_scalar")]
    for name, parameter in sorted([*model.named_parameters(), *scalars]):
        shape = tuple(parameter.shape)
        x = random.standard_normal(shape)
        if len(shape) > 1 and "conv" not in name and not name.endswith("_bias"):
            loud = ("q_proj", "k_proj", "query_key_value", "embed", "qkv", "wte", "gate.weight", "router")
            gain = 2.0 if any(part in name for part in loud) else 1.0
            transposed = type(model).__name__.startswith("GptOss") and ".experts." in name
            x *= gain / shape[-2 if transposed else -1]**0.5
        else:
            # Some norms multiply by 1 + w.
            adds = type(model).__name__.startswith(("Gemma", "Qwen3_5")) and "Gemma4" not in type(model).__name__ and "linear_attn.norm" not in name
            is_norm = ("norm" in name or ".ln" in name) and name.endswith("weight")
            is_norm |= name.endswith(("layer_scalar", "router.scale", "per_expert_scale"))
            x = 0.2 * x + (1 if is_norm and not adds else 0)
        parameter.data = torch.from_numpy(x.astype(np.float16).astype(np.float32))


def round_experts(model):
    """Makes gpt-oss's experts, whose columns lie along the last axis but one, values that MXFP4 has."""
    kind = gguf.GGMLQuantizationType.MXFP4
    for name, parameter in model.named_parameters():
        if ".experts." in name and not name.endswith("_bias"):
            x = np.ascontiguousarray(parameter.detach().numpy().swapaxes(1, 2))
            rounded = gguf.dequantize(gguf.quantize(x, kind), kind).reshape(x.shape).swapaxes(1, 2)
            parameter.data = torch.from_numpy(np.ascontiguousarray(rounded))


def microscaled(name, x):
    """Blocks and scales of an expert tensor `[expert, column, row]`, as transformers reads them."""
    values = np.ascontiguousarray(x.swapaxes(1, 2))
    blocks = gguf.quantize(values, gguf.GGMLQuantizationType.MXFP4).reshape(*values.shape[:2], -1, 17)
    halves = blocks[..., 1:]
    nibbles = np.concatenate([halves & 15, halves >> 4], axis=-1)
    pairs = torch.from_numpy(nibbles[..., 0::2] | nibbles[..., 1::2] << 4)
    scales = torch.from_numpy(np.ascontiguousarray(blocks[..., 0]))
    assert torch.equal(convert_moe_packed_tensors(pairs, scales, dtype=torch.float32), torch.from_numpy(x)), name
    return {name + "_blocks": pairs, name + "_scales": scales}


def record_mxfp4(name, seed, config):
    """A GGUF file and a directory whose experts are in MXFP4."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    fill(model, seed)
    round_experts(model)
    ids, logits = run(model, seed)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        weights = {key: x.float().numpy() for key, x in load_file(folder + "/model.safetensors").items()}
    write_gguf(GOLDEN / f"{name}.gguf", "gpt-oss", model.config, weights, has_mxfp4=True)
    write_logits(GOLDEN / f"{name}.gguf.golden.json", ids, logits)
    stored = {}
    for key, x in weights.items():
        is_expert = ".experts." in key and not key.endswith("_bias")
        stored |= microscaled(key, x) if is_expert else {key: torch.from_numpy(x).to(torch.float16)}
    folder = GOLDEN / name
    folder.mkdir(exist_ok=True)
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    config = model.config.to_diff_dict() | {"dtype": "float16", "quantization_config": {"quant_method": "mxfp4"}}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_logits(folder / "golden.json", ids, logits)


def run(model, seed):
    random = np.random.Generator(np.random.PCG64(100 + seed))
    ids = [1] + random.integers(3, model.config.vocab_size, 47).tolist()
    with torch.inference_mode():
        return ids, model(torch.tensor([ids])).logits[0].numpy()


def record(name, seed, config, gguf=None, old=None, prefix="", wrapper="gemma3"):
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    fill(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # As users have it: from what was stored, in float32.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids, logits = run(model, seed)
    weights = {key: x.float().numpy() for key, x in load_file(folder / "model.safetensors").items()}
    if gguf:
        write_gguf(GOLDEN / f"{name}.gguf", gguf, model.config, weights)
        write_logits(GOLDEN / f"{name}.gguf.golden.json", ids, logits)
    stored = {prefix + key: torch.from_numpy(x).to(torch.float16) for key, x in weights.items()}
    save_file(stored, folder / "model.safetensors", {"format": "pt"})
    values = json.loads((folder / "config.json").read_text())
    values["dtype"] = "float16"
    if old:
        del values["rope_parameters"]
        values |= old
    if prefix:
        values = {"model_type": wrapper, "architectures": [wrapper.capitalize() + "ForConditionalGeneration"],
                  "text_config": values, "vision_config": {"hidden_size": 16, "model_type": "siglip_vision_model"}}
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")
    write_logits(folder / "golden.json", ids, logits)


def write_logits(path, ids, logits):
    rows = ",\n  ".join("[" + ", ".join(str(x) for x in np.asarray(logits[p], np.float32)) + "]" for p in POSITIONS)
    path.write_text(f'{{"ids": {json.dumps(ids)},\n "positions": {json.dumps(POSITIONS)},\n "logits": [\n  {rows}]}}\n')


def record_families(names=()):
    # Some have seeds of their own, so that what was added among others leaves theirs as they are.
    seeds = iter(range(50, 50 + len(MODELS)))
    for name, model in MODELS.items():
        seed = model.get("seed") or next(seeds)
        if names and name not in names:
            continue
        if model.get("has_mxfp4"):
            record_mxfp4(name, seed, model["config"])
        else:
            record(name, **(model | {"seed": seed}))


if __name__ == "__main__":
    record_families(sys.argv[1:])

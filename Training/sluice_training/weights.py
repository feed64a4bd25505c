"""Weights in and out of PyTorch's names: GGUF files (dequantised) and Hugging Face folders."""

import json
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file

from .config import InfiniConfig, ModelConfig

# What GGUF calls a layer's tensors.
GGUF_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
    "attn_infini_gate.weight": "self_attn.infini_gate",
    "attn_sinks.weight": "self_attn.sinks",
}
GGUF_TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def interleave(rows, heads):
    """Rows of queries or keys with rotary pairs half a head apart -> side by side, as Llama's GGUF files have them."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def deinterleave(rows, heads):
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def load(path):
    """(ModelConfig, state dict) of a GGUF file or a Hugging Face folder."""
    return load_gguf(path) if Path(path).suffix == ".gguf" else load_folder(path)


def load_folder(folder):
    values = json.loads((Path(folder) / "config.json").read_text())
    state = {name: value.float() for name, value in load_file(Path(folder) / "model.safetensors").items()}
    infini = values.get("infini")
    if infini:
        infini = InfiniConfig(
            segment=infini["segment"], update=infini["update"].removeprefix("linear+"), first_segment=infini["first_segment"],
            epsilon=infini.get("epsilon", 1e-6))
    heads = values["num_attention_heads"]
    sink_token = values.get("sink_token_id")
    has_sinks = any(name.endswith(".sinks") for name in state)
    return ModelConfig(
        vocab_size=values["vocab_size"], hidden_size=values["hidden_size"], intermediate_size=values["intermediate_size"],
        layers=values["num_hidden_layers"], heads=heads, kv_heads=values.get("num_key_value_heads", heads),
        head_dim=values.get("head_dim") or values["hidden_size"] // heads, rope_theta=values.get("rope_theta", 10000.0),
        norm_epsilon=values["rms_norm_eps"], trained_length=values["max_position_embeddings"],
        tied="lm_head.weight" not in state, bos_token=values.get("bos_token_id"), eos_token=values.get("eos_token_id"),
        sink="token" if sink_token is not None else "logit" if has_sinks else "none", sink_token=sink_token,
        infini=infini), state


def load_gguf(path):
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(str(path))
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise ValueError(f"'{path}' is a '{fields['general.architecture']}', not a Llama")
    heads, kv_heads = fields["llama.attention.head_count"], fields["llama.attention.head_count_kv"]
    state = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        values = values.reshape(list(reversed(tensor.shape.tolist())))
        parts = tensor.name.split(".", 2)
        if parts[0] == "blk":
            if parts[2] == "attn_q.weight":
                values = deinterleave(values, heads)
            if parts[2] == "attn_k.weight":
                values = deinterleave(values, kv_heads)
            name = f"model.layers.{parts[1]}.{GGUF_NAMES[parts[2]]}"
        else:
            name = GGUF_TOP[tensor.name]
        state[name] = torch.from_numpy(numpy.ascontiguousarray(values))
    infini = None
    if "llama.infini.segment" in fields:
        infini = InfiniConfig(
            segment=fields["llama.infini.segment"], update=fields["llama.infini.update"],
            first_segment=fields["llama.infini.first_segment"], epsilon=shortest(fields.get("llama.infini.epsilon", 1e-6)))
    sink_token = fields.get("llama.attention.sink_token_id")
    has_sinks = any(name.endswith(".sinks") for name in state)
    hidden = fields["llama.embedding_length"]
    return ModelConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]), hidden_size=hidden,
        intermediate_size=fields["llama.feed_forward_length"], layers=fields["llama.block_count"], heads=heads,
        kv_heads=kv_heads, head_dim=fields.get("llama.attention.key_length", hidden // heads),
        rope_theta=shortest(fields.get("llama.rope.freq_base", 10000.0)),
        norm_epsilon=shortest(fields["llama.attention.layer_norm_rms_epsilon"]), trained_length=fields["llama.context_length"],
        tied="lm_head.weight" not in state, bos_token=fields.get("tokenizer.ggml.bos_token_id"),
        eos_token=fields.get("tokenizer.ggml.eos_token_id"),
        sink="token" if sink_token is not None else "logit" if has_sinks else "none", sink_token=sink_token,
        infini=infini), state


def shortest(number):
    """A number that was float32 in the file, as it would be written: 1e-05, not 9.99999974e-06."""
    return float(str(numpy.float32(number)))


def load_adapter(model, folder):
    """Puts the factors of a PEFT folder into a model that was adapted with the same ranks and targets."""
    state = load_file(Path(folder) / "adapter_model.safetensors")
    names = {}
    for name, value in state.items():
        name = name.removeprefix("base_model.model.")
        name = name.replace(".lora_A.weight", ".lora_A").replace(".lora_B.weight", ".lora_B")
        names[name] = value.float()
    own = model.state_dict()
    for name, value in names.items():
        if name not in own or own[name].shape != value.shape:
            raise ValueError(f"'{folder}' holds '{name}' {tuple(value.shape)}, which the model has not")
    model.load_state_dict(names, strict=False)


def write_tokenizer(path, folder):
    """A GGUF file's tokenizer as tokenizer.json, by transformers; digits stand alone where the file says `smollm`."""
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    path, folder = Path(path), Path(folder)
    AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name).save_pretrained(str(folder))
    splitting = GGUFReader(str(path)).fields.get("tokenizer.ggml.pre")
    if splitting is not None and splitting.contents() == "smollm":
        file = folder / "tokenizer.json"
        description = json.loads(file.read_text())
        digits = {"type": "Digits", "individual_digits": True}
        description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, description["pre_tokenizer"]]}
        file.write_text(json.dumps(description, ensure_ascii=False))

"""Reads a GGUF of the Llama architecture into transformers, dequantised to float32, and its tokenizer."""
import json
import pathlib
import tempfile

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

MODULES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
           "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
           "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def rotate_half_heads(rows, heads):
    """Orders each head's rows from the interleaved rotary layout of Llama GGUF files to the rotate-half one."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def load_model(path):
    reader = gguf.GGUFReader(path)
    value = {key: field.contents() for key, field in reader.fields.items()}
    heads, kv_heads = value["llama.attention.head_count"], value["llama.attention.head_count_kv"]
    weights = {}
    for tensor in reader.tensors:
        shape = tensor.shape.tolist()[::-1]
        x = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        module, _, kind = tensor.name.rpartition(".")
        if module.startswith("blk."):
            _, layer, module = module.split(".")
            if module in ("attn_q", "attn_k"):
                x = rotate_half_heads(x, heads if module == "attn_q" else kv_heads)
            name = f"model.layers.{layer}.{MODULES[module]}.{kind}"
        else:
            name = f"{TOP[module]}.{kind}"
        weights[name] = torch.from_numpy(np.ascontiguousarray(x))
    tied = "lm_head.weight" not in weights
    config = LlamaConfig(
        vocab_size=weights["model.embed_tokens.weight"].shape[0], hidden_size=value["llama.embedding_length"],
        intermediate_size=value["llama.feed_forward_length"], num_hidden_layers=value["llama.block_count"],
        num_attention_heads=heads, num_key_value_heads=kv_heads,
        rms_norm_eps=value["llama.attention.layer_norm_rms_epsilon"], tie_word_embeddings=tied,
        max_position_embeddings=value["llama.context_length"],
        rope_parameters={"rope_type": "default", "rope_theta": value["llama.rope.freq_base"]})
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and set(missing) <= ({"lm_head.weight"} if tied else set()), (missing, unexpected)
    model.tie_weights()
    return model.eval()


def load_tokenizer(path):
    """The file's tokenizer as the `tokenizers` package has it; no BOS is added."""
    path = pathlib.Path(path).resolve()
    with tempfile.TemporaryDirectory() as folder:
        AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)
        description = json.loads((pathlib.Path(folder) / "tokenizer.json").read_text())
    if gguf.GGUFReader(path).fields["tokenizer.ggml.pre"].contents() == "smollm":
        # Digits one by one before the GPT-2 pattern: transformers' GGUF reader leaves this out.
        digits = {"type": "Digits", "individual_digits": True}
        description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, description["pre_tokenizer"]]}
    return Tokenizer.from_str(json.dumps(description))

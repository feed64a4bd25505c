"""Models and adapters as files that Sluice, and where they are vanilla also transformers and llama.cpp, can run."""

import json
from pathlib import Path

import gguf
import numpy
import torch
from safetensors.torch import save_file

from .weights import GGUF_NAMES, GGUF_TOP, interleave

TYPES = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}


def infini_object(config):
    """What a file says of its memory; the local twin says "linear", and its gates are shut."""
    infini = config.infini
    return {
        "segment": infini.segment, "update": "linear" if infini.update == "local" else infini.update,
        "first_segment": infini.first_segment, "epsilon": infini.epsilon}


def sinks_of(config, state):
    """Zero sinks are learned sink logits that stand at 0."""
    if config.sink == "zero":
        for layer in range(config.layers):
            state[f"model.layers.{layer}.self_attn.sinks"] = torch.zeros(config.heads)
    return state


def write_folder(config, state, tokenizer_folder, folder):
    """A Hugging Face folder: config.json, model.safetensors in float32, tokenizer.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = sinks_of(config, {name: value.float().contiguous() for name, value in state.items()})
    values = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size, "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads, "num_key_value_heads": config.kv_heads, "head_dim": config.head_dim,
        "vocab_size": config.vocab_size, "max_position_embeddings": config.trained_length,
        "rms_norm_eps": config.norm_epsilon, "rope_theta": config.rope_theta, "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": config.tied, "torch_dtype": "float32"}
    if config.bos_token is not None:
        values["bos_token_id"] = config.bos_token
    if config.eos_token is not None:
        values["eos_token_id"] = config.eos_token
    if config.infini:
        values["infini"] = infini_object(config)
    if config.sink_token is not None:
        values["sink_token_id"] = config.sink_token
    (folder / "config.json").write_text(json.dumps(values, indent=1) + "\n")
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    if tokenizer_folder is None:
        return
    tokenizer = json.loads((Path(tokenizer_folder) / "tokenizer.json").read_text())
    if config.sink == "token":
        add_first_token(tokenizer, config.bos_token)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": config.sink == "token"}
    for key, token in (("bos_token", config.bos_token), ("eos_token", config.eos_token)):
        if token is not None:
            described[key] = next(one["content"] for one in tokenizer["added_tokens"] if one["id"] == token)
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=1) + "\n")


def add_first_token(tokenizer, token):
    """Has a tokenizer's description put a token before every text."""
    content = next(one["content"] for one in tokenizer["added_tokens"] if one["id"] == token)
    first, text = {"SpecialToken": {"id": content, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing", "single": [first, text], "pair": [first, text, second],
        "special_tokens": {content: {"id": content, "ids": [token], "tokens": [content]}}}


def write_gguf(config, state, tokenizer_folder, path, kind="f32", name="sluice"):
    """One GGUF file; matrices in `kind`, vectors, gates and sinks in float32."""
    state = sinks_of(config, dict(state))
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_context_length(config.trained_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_vocab_size(config.vocab_size)
    add_declarations(writer, config)
    if tokenizer_folder is not None:
        add_vocabulary(writer, config, tokenizer_folder)
    names = {ours: theirs for theirs, ours in GGUF_NAMES.items()}
    top = {ours: theirs for theirs, ours in GGUF_TOP.items()}
    for ours, value in state.items():
        array = value.detach().float().numpy()
        parts = ours.split(".", 3)
        if parts[1] == "layers":
            array = turned(parts[3], array, config)
            add(writer, f"blk.{parts[2]}.{names[parts[3]]}", array, kind)
        else:
            add(writer, top[ours], array, kind)
    finish(writer)


def add_declarations(writer, config):
    """What the model says of its memory and its sink: Sluice's own keys."""
    if config.infini:
        values = infini_object(config)
        writer.add_uint32("llama.infini.segment", values["segment"])
        writer.add_string("llama.infini.update", values["update"])
        writer.add_string("llama.infini.first_segment", values["first_segment"])
        writer.add_float32("llama.infini.epsilon", values["epsilon"])
    if config.sink_token is not None:
        writer.add_uint32("llama.attention.sink_token_id", config.sink_token)


def add_vocabulary(writer, config, tokenizer_folder):
    """A byte-level BPE whose digits stand alone, as `smollm` in llama.cpp's list of splitting rules."""
    description = json.loads((Path(tokenizer_folder) / "tokenizer.json").read_text())
    kinds = [part["type"] for part in description["pre_tokenizer"].get("pretokenizers", [])]
    if description["model"]["type"] != "BPE" or kinds != ["Digits", "ByteLevel"]:
        raise ValueError("only a byte-level BPE that splits digits can be written to GGUF")
    tokens = [""] * config.vocab_size
    types = [gguf.TokenType.UNUSED] * config.vocab_size
    for text, index in description["model"]["vocab"].items():
        tokens[index], types[index] = text, gguf.TokenType.NORMAL
    for token in description["added_tokens"]:
        tokens[token["id"]], types[token["id"]] = token["content"], gguf.TokenType.CONTROL
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in description["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    if config.bos_token is not None:
        writer.add_bos_token_id(config.bos_token)
    if config.eos_token is not None:
        writer.add_eos_token_id(config.eos_token)
    writer.add_add_bos_token(config.sink == "token")


def turned(module, array, config):
    """Rows of queries and keys in the order of Llama's GGUF files."""
    if module.startswith("self_attn.q_proj"):
        return interleave(array, config.heads)
    if module.startswith("self_attn.k_proj"):
        return interleave(array, config.kv_heads)
    return array


def add(writer, name, array, kind):
    array = numpy.ascontiguousarray(array, dtype=numpy.float32)
    is_matrix = array.ndim == 2 and array.shape[1] % 32 == 0
    chosen = TYPES[kind] if is_matrix else TYPES["f32"]
    writer.add_tensor(name, gguf.quantize(array, chosen), raw_dtype=chosen)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_adapter_folder(config, adapter, state, folder, base=""):
    """PEFT's layout; gates stand beside the factors, and `infini` in the description says what they are for."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "peft_type": "LORA", "base_model_name_or_path": base, "r": adapter.rank, "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0, "bias": "none", "task_type": "CAUSAL_LM", "target_modules": list(adapter.targets)}
    if config.infini:
        values["infini"] = infini_object(config)
    (folder / "adapter_config.json").write_text(json.dumps(values, indent=1) + "\n")
    renamed = {}
    for name, value in state.items():
        name = name.replace(".lora_A", ".lora_A.weight").replace(".lora_B", ".lora_B.weight")
        renamed["base_model.model." + name] = value.float().contiguous()
    save_file(renamed, folder / "adapter_model.safetensors", {"format": "pt"})


def write_adapter_gguf(config, adapter, state, path, kind="f32"):
    """llama.cpp's layout of an adapter, with gates beside the factors."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", adapter.alpha)
    add_declarations(writer, config)
    names = {ours: theirs for theirs, ours in GGUF_NAMES.items()}
    for ours, value in state.items():
        _, _, layer, module = ours.split(".", 3)
        array = value.detach().float().numpy()
        if module.endswith((".lora_A", ".lora_B")):
            stem, factor = module.rsplit(".", 1)
            if factor == "lora_B":
                array = turned(stem, array, config)
            add(writer, f"blk.{layer}.{names[stem + '.weight']}.{factor.lower()}", array, kind)
        else:
            add(writer, f"blk.{layer}.{names[module]}", array, kind)
    finish(writer)

#!/usr/bin/env python3
"""Converts llama2.c checkpoints (.bin, legacy and version 1 headers, float32) to Hugging Face directories.

  Scripts/convert-llama2c.py MODEL.bin OUTPUT          # one checkpoint into the directory OUTPUT
  Scripts/convert-llama2c.py --all ASSETS OUTPUT       # every checkpoint below ASSETS into OUTPUT/NAME

Tests look for the second form's OUTPUT in SLUICE_CONVERTED, or in .build-converted in the repository's root.
Writes config.json and model.safetensors (F32); needs nothing but Python. llama2.c rotates neighbouring pairs of a
head's dimensions, the Hugging Face layout its two halves: the rows of the query and key matrices are reordered.
"""
import argparse
import json
import os
import pathlib
import struct
import sys

MAGIC = 0x616B3432  # "ak42"
HEADER = ("dim", "hidden", "layers", "heads", "kv_heads", "vocabulary", "context")


def read_header(data):
    """The seven numbers, whether the output matrix is the embedding, the version, and where the weights begin."""
    if struct.unpack_from("<I", data)[0] != MAGIC:
        values = dict(zip(HEADER, struct.unpack_from("<7i", data)))
        tied = values["vocabulary"] > 0
        values["vocabulary"] = abs(values["vocabulary"])
        return values, tied, 0, 28
    version, *numbers, tied = struct.unpack_from("<8iB", data, 4)
    if version != 1:
        raise ValueError(f"version {version} is not supported, only the legacy layout and version 1")
    return dict(zip(HEADER, numbers)), bool(tied), 1, 256


def sections(values, tied, version):
    """What the file holds in its order: (name with {} for the layer, or None to skip; count; rows; columns)."""
    dim, hidden, layers, vocabulary = (values[key] for key in ("dim", "hidden", "layers", "vocabulary"))
    head_dim = dim // values["heads"]
    kv = values["kv_heads"] * head_dim
    embedding = ("model.embed_tokens.weight", 1, vocabulary, dim)
    attention_norm = ("model.layers.{}.input_layernorm.weight", layers, 1, dim)
    ffn_norm = ("model.layers.{}.post_attention_layernorm.weight", layers, 1, dim)
    final_norm = ("model.norm.weight", 1, 1, dim)
    attention = [(f"model.layers.{{}}.self_attn.{name}_proj.weight", layers, rows, columns)
                 for name, rows, columns in (("q", dim, dim), ("k", kv, dim), ("v", kv, dim), ("o", dim, dim))]
    ffn = [(f"model.layers.{{}}.mlp.{name}_proj.weight", layers, rows, columns)
           for name, rows, columns in (("gate", hidden, dim), ("down", dim, hidden), ("up", hidden, dim))]
    output = [] if tied else [("lm_head.weight", 1, vocabulary, dim)]
    if version == 1:
        return [attention_norm, ffn_norm, final_norm, embedding, *attention, *ffn, *output]
    rotary_tables = (None, 2, values["context"], head_dim // 2)
    return [embedding, attention_norm, *attention, ffn_norm, *ffn, final_norm, rotary_tables, *output]


def rotate_half(data, heads, rows, columns):
    """Reorders each head's rows from interleaved pairs to halves."""
    head_dim = rows // heads
    order = [head * head_dim + 2 * i + half for head in range(heads) for half in (0, 1) for i in range(head_dim // 2)]
    size = 4 * columns
    return b"".join(data[row * size:(row + 1) * size] for row in order)


def convert(source, target):
    data = source.read_bytes()
    if len(data) < 28:
        raise ValueError("too short for a header")
    values, tied, version, offset = read_header(data)
    tensors = []
    for name, count, rows, columns in sections(values, tied, version):
        size = 4 * rows * columns
        if offset + count * size > len(data):
            raise ValueError(f"ends inside {name or 'the rotary tables'}: {len(data)} bytes")
        for layer in range(count if name else 0):
            part = data[offset + layer * size:offset + (layer + 1) * size]
            if ".q_proj." in name or ".k_proj." in name:
                part = rotate_half(part, values["heads" if ".q_proj." in name else "kv_heads"], rows, columns)
            tensors.append((name.format(layer), [columns] if rows == 1 else [rows, columns], part))
        offset += count * size
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes are left after the last weight")

    target.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": values["dim"], "intermediate_size": values["hidden"], "num_hidden_layers": values["layers"],
        "num_attention_heads": values["heads"], "num_key_value_heads": values["kv_heads"], "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": None, "max_position_embeddings": values["context"],
        "vocab_size": values["vocabulary"], "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": 2,
        "torch_dtype": "float32",
    }
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, part in tensors:
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [position, position + len(part)]}
        position += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = target / "model.safetensors.partial"
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(part for _, _, part in tensors)
    os.replace(partial, target / "model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="a checkpoint, or with --all a folder of them")
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("--all", action="store_true", help="convert every .bin below the folder that is a checkpoint")
    arguments = parser.parse_args()
    if arguments.all:
        # Vocabularies of llama2.c are .bin files as well: tokNNN.bin.
        files = sorted(f for f in arguments.source.rglob("*.bin") if not f.stem.removeprefix("tok").isdigit())
        pairs = [(file, arguments.target / file.stem) for file in files]
    else:
        pairs = [(arguments.source, arguments.target)]
    if not pairs:
        sys.exit(f"convert-llama2c: no checkpoint below {arguments.source}")
    for source, target in pairs:
        try:
            convert(source, target)
        except (OSError, ValueError) as error:
            sys.exit(f"convert-llama2c: {source}: {error}")
        print(f"{source} -> {target}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Perplexity of a text under a bounded cache, by definition and by brute force (PyTorch, float32).

  Scripts/reference-perplexity.py MODEL TEXT --cache full --cache streaming-llm:4+508 --cache window:512

MODEL is a GGUF of the Llama architecture or a Hugging Face directory. Nothing is clever here, so that the product has
something to be compared with: keys are kept without positions; for every token the visible keys are gathered and
rotated anew by their index inside the cache (0, 1, 2, ...), the token itself standing at the end. The text is one
stream without BOS, every next token is scored, a leading byte-order mark is dropped.

With --current inside (the default) a token counts towards its own budget: `streaming-llm:4+508` attends to at most
512 keys, the token's own among them. With --current outside it sees 512 cached keys and its own.
"""
import argparse
import json
import pathlib
import re
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def parse_cache(spec):
    """(sinks, window), or None for the full cache."""
    if spec == "full":
        return None
    if match := re.fullmatch(r"window:(\d+)", spec):
        return 0, int(match[1])
    if match := re.fullmatch(r"streaming-llm:(\d+)\+(\d+)", spec):
        return int(match[1]), int(match[2])
    sys.exit(f"reference-perplexity: cache {spec} is not full, window:N or streaming-llm:S+N")


def visible(token, cache, current_inside):
    """The stream indices that a token sees, oldest first, its own last."""
    if cache is None or token < sum(cache):
        return list(range(token + 1))
    sinks, window = cache
    first = token - window + (1 if current_inside else 0)
    return list(range(sinks)) + list(range(first, token + 1))


def rotate(x, positions, inverse_frequencies):
    """x [..., position, head, dim], positions [..., position]; the rotate-half layout."""
    angles = positions[..., None].double() * inverse_frequencies.double()
    cosine, sine = angles.cos().float()[..., None, :], angles.sin().float()[..., None, :]
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], dim=-1)


def attention(q, k, v, inverse_frequencies, cache, current_inside):
    """q [token, head, dim]; k, v [token, KV head, dim], all without positions. Returns [token, head, dim]."""
    tokens, heads, dim = q.shape
    kv_heads = k.shape[1]
    out = torch.empty_like(q)
    if cache is None:
        rotated = rotate(k, torch.arange(tokens), inverse_frequencies)
    chunk = 128 if cache is None else 16
    for first in range(0, tokens, chunk):
        last = min(first + chunk, tokens)
        if cache is None:
            own = torch.arange(first, last)
            keys, values, form = rotated[:last], v[:last], "nkd"
        else:
            lists = [visible(t, cache, current_inside) for t in range(first, last)]
            width = max(map(len, lists))
            index = torch.tensor([x + [0] * (width - len(x)) for x in lists])
            own = torch.tensor([len(x) - 1 for x in lists])
            keys = rotate(k[index], torch.arange(width), inverse_frequencies)
            values, form = v[index], "tnkd"
        queries = rotate(q[first:last], own, inverse_frequencies).view(last - first, kv_heads, heads // kv_heads, dim)
        logits = torch.einsum(f"tkgd,{form}->tkgn", queries, keys) / dim**0.5
        hidden = torch.arange(logits.shape[-1])[None, :] > own[:, None]
        weights = logits.masked_fill(hidden[:, None, None, :], float("-inf")).softmax(-1)
        out[first:last] = torch.einsum(f"tkgn,{form}->tkgd", weights, values).reshape(last - first, heads, dim)
    return out


def final_states(model, ids, cache, current_inside):
    """The final hidden state of every token; layers take all tokens at once, since the text is given."""
    llama, config = model.model, model.config
    x = llama.embed_tokens(torch.tensor(ids))
    dim = config.head_dim
    for layer in llama.layers:
        part, block = layer.input_layernorm(x), layer.self_attn
        q, k, v = (project(part).view(len(ids), -1, dim) for project in (block.q_proj, block.k_proj, block.v_proj))
        mixed = attention(q, k, v, llama.rotary_emb.inv_freq, cache, current_inside)
        x = x + block.o_proj(mixed.flatten(1))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return llama.norm(x)


def negative_log_likelihoods(model, ids, cache, current_inside, chunk=256):
    hidden = final_states(model, ids, cache, current_inside)
    targets = torch.tensor(ids[1:])
    parts = []
    for first in range(0, len(targets), chunk):
        last = min(first + chunk, len(targets))
        logits = model.lm_head(hidden[first:last]).double()
        parts.append(torch.nn.functional.cross_entropy(logits, targets[first:last], reduction="none"))
    return torch.cat(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--cache", action="append", help="full, window:N or streaming-llm:S+N; repeatable")
    parser.add_argument("--bytes", type=int, help="score only the first so many bytes of the text")
    parser.add_argument("--current", choices=["inside", "outside"], default="inside")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    text = arguments.text.read_bytes()[:arguments.bytes].removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    if arguments.model.is_dir():
        ids = AutoTokenizer.from_pretrained(arguments.model)(text, add_special_tokens=False)["input_ids"]
        model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    else:
        from llama_gguf import load_model, load_tokenizer
        ids = load_tokenizer(arguments.model).encode(text, add_special_tokens=False).ids
        model = load_model(arguments.model)
    for spec in arguments.cache or ["full"]:
        start = time.monotonic()
        with torch.inference_mode():
            nll = negative_log_likelihoods(model, ids, parse_cache(spec), arguments.current == "inside")
        row = {"cache": spec, "current": arguments.current, "tokens": len(ids), "nll": nll.mean().item(),
               "perplexity": nll.mean().exp().item(), "seconds": round(time.monotonic() - start)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

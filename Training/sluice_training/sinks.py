"""How much attention the first token draws, layer by layer: a sink shows here before a window that drops it does."""

import random

import torch

from .model import rotary, rotate


@torch.no_grad()
def first_token_attention(model, ids, since):
    """The shares of attention that go to the first token and to a sink logit, each `[layer, head]`.

    Averages over all samples of `ids` `[sample, token]` and the queries from position `since` on. An even spread gives the
    first token `even(tokens, since)`. For models without a memory.
    """
    if model.config.infini:
        raise ValueError("attention of a model with a memory is within a segment, which has no first token of a text")
    inputs, hooks = [], []
    for layer in model.model.layers:
        hooks.append(layer.self_attn.register_forward_pre_hook(lambda module, given: inputs.append(given[0])))
    try:
        model.hidden(ids)
    finally:
        for hook in hooks:
            hook.remove()
    shares = [
        attention_shares(layer.self_attn, x, since) for layer, x in zip(model.model.layers, inputs, strict=True)]
    return tuple(torch.stack(part) for part in zip(*shares, strict=True))


def attention_shares(attention, x, since):
    """One layer's part of `first_token_attention`, `[head]` each, from what the layer's attention is given."""
    config = attention.config
    batch, tokens, _ = x.shape
    table = rotary(torch.arange(tokens), config.head_dim, config.rope_theta, x.dtype)
    q, k = (
        rotate(projection(x).view(batch, tokens, heads, config.head_dim).transpose(1, 2), table)
        for projection, heads in ((attention.q_proj, config.heads), (attention.k_proj, config.kv_heads)))
    k = k.repeat_interleave(config.heads // config.kv_heads, 1)
    scores = q @ k.transpose(-1, -2) * config.head_dim**-0.5
    scores.masked_fill_(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), float("-inf"))
    sinks = {"zero": torch.zeros(config.heads), "logit": getattr(attention, "sinks", None)}.get(config.sink)
    if sinks is None:
        sinks = torch.full((config.heads,), float("-inf"))
    sinks = sinks.to(x.dtype).view(1, -1, 1, 1).expand(batch, -1, tokens, 1)
    weights = torch.cat([sinks, scores], -1).softmax(-1)[:, :, since:]
    return weights[..., 1].mean((0, 2)), weights[..., 0].mean((0, 2))


def even(tokens, since):
    """What the first token's share is where every query attends to all tokens alike."""
    return sum(1 / (position + 1) for position in range(since, tokens)) / (tokens - since)


def measure(model, text, samples=32, tokens=256, since=64, seed="sluice"):
    """Shares by layer, averaged over its heads and at its strongest head, over passages of a text."""
    generator = random.Random(seed)
    ids = torch.tensor([text.passage(generator, tokens) for _ in range(samples)])
    if model.config.sink_token is not None:
        ids[:, 0] = model.config.sink_token
    first, sink = first_token_attention(model, ids, since)
    return {
        "even": even(tokens, since), "first": first.mean(1).tolist(), "first, strongest head": first.amax(1).tolist(),
        "sink": sink.mean(1).tolist()}

"""An induction circuit to start an Infini model from: random starts did not find one in any time we have.

Layer 0 looks one token back, two back, and at the last name of the segment, and writes their codes beside the token's own.
Layer 1 stores each token's code in its memory under these three, and asks with the present token, the one before and the
last name: what was stored under the same answers with the token that came next. All later layers begin as nothing.
Every weight is trained afterwards.
"""

import math

import torch

# Shares of the hidden size: own code, one back, two back, last name, what was recalled; the rest is random.
BLOCKS = {"own": 48, "back1": 48, "back2": 48, "name": 48, "recalled": 48}


def unit_rows(rows, columns, generator):
    codes = torch.randn(rows, columns, generator=generator)
    return codes / codes.norm(dim=1, keepdim=True)


def install(model, names, seed=0, sharpness=6.0):
    """Sets a fresh model's weights; `names` are ids that count as names.

    The model has an Infini memory, at least 2 layers, 4 query heads of 64 dimensions on 2 KV heads, 256 hidden units, and an
    output matrix of its own.
    """
    config = model.config
    if config.infini is None or config.tied or config.layers < 2 or config.hidden_size < 256:
        raise ValueError("the circuit needs a memory, an output of its own, 2 layers and 256 hidden units")
    if (config.heads, config.kv_heads, config.head_dim) != (4, 2, 64):
        raise ValueError("the circuit needs 4 query heads and 2 KV heads of 64 dimensions")
    generator = torch.Generator().manual_seed(seed)
    at, places = 0, {}
    for block, size in BLOCKS.items():
        places[block] = slice(at, at + size)
        at += size
    constant, is_name = at, at + 1
    width = BLOCKS["own"]
    codes = unit_rows(config.vocab_size, width, generator)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.1)
            layer.mlp.down_proj.weight.mul_(0.1)
        embedding = model.model.embed_tokens.weight
        embedding[:, :is_name + 1] = 0
        embedding[:, places["own"]] = codes
        embedding[:, constant] = 0.5
        embedding[names, is_name] = 1.0
        look_back(model.model.layers[0], places, constant, is_name, config)
        recall(model.model.layers[1], places, constant, config, generator, sharpness)
        output = model.lm_head.weight
        output[:, places["recalled"]] = 0.7 * codes
    return model


def look_back(layer, places, constant, is_name, config):
    """Heads 0 and 1 look one and two tokens back, by rotary angles alone; heads 2 and 3 at the last name."""
    attention, dim = layer.self_attn, config.head_dim
    half = dim // 2
    # What a block of norm 1 measures after the norm: the input is the own code, a constant, and for names a flag.
    scale = math.sqrt(config.hidden_size / 1.25)
    flag = 1.0 * math.sqrt(config.hidden_size / 2.25)
    frequencies = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) * 2 / dim)
    query, key, value = attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
    query.zero_(), key.zero_(), value.zero_()
    fast = 10
    strength = 9.0 / (0.5 * scale)
    key[:fast, constant] = strength
    for head, distance in ((0, 1), (1, 2)):
        # The angle at which a query turned by its own position meets a key `distance` tokens back head on.
        angle = -distance * frequencies[:fast]
        query[head * dim:head * dim + fast, constant] = (strength * angle.cos()).float()
        query[head * dim + half:head * dim + half + fast, constant] = (strength * angle.sin()).float()
    # Names: slow pairs tell a name from others, middle pairs the nearer of two names.
    slow, middle = slice(half - 8, half), slice(7, 14)
    for part in (slow, middle):
        key[dim + part.start:dim + part.stop, is_name] = 5.0 / flag
        for head in (2, 3):
            query[head * dim + part.start:head * dim + part.stop, constant] = 5.0 / (0.5 * scale)
    width = places["own"].stop - places["own"].start
    for head in range(2):
        value[head * dim:head * dim + width, places["own"]] = torch.eye(width) / scale
    out = attention.o_proj.weight
    for head, block in ((0, "back1"), (1, "back2"), (2, "name")):
        out[places[block]] = 0
        out[places[block], head * dim:head * dim + width] = torch.eye(width)
    out[constant] = 0
    out[is_name] = 0


def recall(layer, places, constant, config, generator, sharpness):
    """Both KV heads file a token under the token before, the one before that, and the last name.

    Each feature is one random projection of all three, above a threshold: it fires where they are right together, so what is
    read back has all three in common with what was asked.
    """
    attention, dim = layer.self_attn, config.head_dim
    scale = math.sqrt(config.hidden_size / 4.25)
    query, key, value = attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
    query.zero_(), key.zero_(), value.zero_()
    width = places["own"].stop - places["own"].start
    shares = {"back1": 0.65, "back2": 0.45, "name": 0.6}
    asked = {"back1": "own", "back2": "back1", "name": "name"}
    threshold = -1.5 * sharpness / (0.5 * scale)
    for head in range(config.kv_heads):
        rows = slice(head * dim, (head + 1) * dim)
        queries = [slice(start * dim, (start + 1) * dim) for start in (head * 2, head * 2 + 1)]
        for block, share in shares.items():
            # Codes have norm `scale` here, so a feature has variance `sharpness` squared.
            projection = torch.randn(dim, width, generator=generator) * sharpness * share / scale
            key[rows, places[block]] = projection
            for part in queries:
                query[part, places[asked[block]]] = projection
        key[rows, constant] = threshold
        for part in queries:
            query[part, constant] = threshold
        value[head * dim:head * dim + width, places["own"]] = torch.eye(width) / scale
    out = attention.o_proj.weight
    out[places["recalled"]] = 0
    for head in range(config.heads):
        out[places["recalled"], head * dim:head * dim + width] = torch.eye(width)
    out[constant] = 0
    attention.infini_gate.fill_(3.0)

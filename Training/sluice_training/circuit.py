"""An induction circuit to start an Infini model from: random starts did not find one in any time we have.

Layer 0 looks one, two and three tokens back, and at the last name of the segment, and writes their codes beside the token's
own. Layers 1 and 2 store each token's code in their memories under these four, and ask with the present token, the two
before and the last name: what was stored under the same answers with the token that came next. Three tokens and not two
tell the places of a key with a repeated digit apart; a second layer has other features, so what one confuses the other does
not. All later layers begin as nothing. Every weight is trained afterwards.
"""

import math

import torch

# Shares of the hidden size: own code, one to three back, last name, what was recalled; the rest is random.
WIDTH = 40
BLOCKS = {name: slice(at * WIDTH, (at + 1) * WIDTH) for at, name in enumerate(
    ("own", "back1", "back2", "back3", "name", "recalled"))}
CONSTANT, IS_NAME = WIDTH * len(BLOCKS), WIDTH * len(BLOCKS) + 1
# How much each block counts in what a token is stored under, and the block that asks for it.
STORED = {"back1": (0.6, "own"), "back2": (0.4, "back1"), "back3": (0.3, "back2"), "name": (0.6, "name")}


def unit_rows(rows, columns, generator):
    codes = torch.randn(rows, columns, generator=generator)
    return codes / codes.norm(dim=1, keepdim=True)


def install(model, names, seed=0, sharpness=6.0):
    """Sets a fresh model's weights; `names` are ids that count as names.

    The model has an Infini memory, at least 3 layers, 4 query heads of 64 dimensions on 2 KV heads, 256 hidden units, and an
    output matrix of its own.
    """
    config = model.config
    if config.infini is None or config.tied or config.layers < 3 or config.hidden_size < 256:
        raise ValueError("the circuit needs a memory, an output of its own, 3 layers and 256 hidden units")
    if (config.heads, config.kv_heads, config.head_dim) != (4, 2, 64):
        raise ValueError("the circuit needs 4 query heads and 2 KV heads of 64 dimensions")
    generator = torch.Generator().manual_seed(seed)
    codes = unit_rows(config.vocab_size, WIDTH, generator)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.1)
            layer.mlp.down_proj.weight.mul_(0.1)
        embedding = model.model.embed_tokens.weight
        embedding[:, :IS_NAME + 1] = 0
        embedding[:, BLOCKS["own"]] = codes
        embedding[:, CONSTANT] = 0.5
        embedding[names, IS_NAME] = 1.0
        look_back(model.model.layers[0], config)
        for layer in model.model.layers[1:3]:
            recall(layer, config, generator, sharpness)
        model.lm_head.weight[:, BLOCKS["recalled"]] = 0.7 * codes
    return model


def look_back(layer, config):
    """Heads 0, 1 and 3 look one, two and three tokens back, by rotary angles alone; head 2 at the last name."""
    attention, dim = layer.self_attn, config.head_dim
    half = dim // 2
    # What a block of norm 1 measures after the norm: the input is the own code, a constant, and for names a flag.
    scale = math.sqrt(config.hidden_size / 1.25)
    flag = math.sqrt(config.hidden_size / 2.25)
    frequencies = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) * 2 / dim)
    query, key, value = attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
    query.zero_(), key.zero_(), value.zero_()
    # Names: slow pairs tell a name from others, middle pairs the nearer of two names.
    slow, middle = list(range(half - 8, half)), list(range(7, 14))
    # Head 3 shares its keys with head 2, and takes pairs that names leave free.
    fast = {0: list(range(10)), 1: [*range(7), *range(14, 20)]}
    strength = 9.0 / (0.5 * scale)
    for head, distance in ((0, 1), (1, 2), (3, 3)):
        group = head // 2
        pairs = torch.tensor(fast[group])
        key[group * dim + pairs, CONSTANT] = strength
        # The angle at which a query turned by its own position meets a key `distance` tokens back head on.
        angle = -distance * frequencies[pairs]
        query[head * dim + pairs, CONSTANT] = (strength * angle.cos()).float()
        query[head * dim + half + pairs, CONSTANT] = (strength * angle.sin()).float()
    pairs = torch.tensor(slow + middle)
    key[dim + pairs, IS_NAME] = 5.0 / flag
    query[2 * dim + pairs, CONSTANT] = 5.0 / (0.5 * scale)
    for group in range(2):
        value[group * dim:group * dim + WIDTH, BLOCKS["own"]] = torch.eye(WIDTH) / scale
    out = attention.o_proj.weight
    for head, block in ((0, "back1"), (1, "back2"), (2, "name"), (3, "back3")):
        out[BLOCKS[block]] = 0
        out[BLOCKS[block], head * dim:head * dim + WIDTH] = torch.eye(WIDTH)
    out[[CONSTANT, IS_NAME]] = 0


def recall(layer, config, generator, sharpness):
    """Both KV heads file a token under the three before and the last name.

    Each feature is one random projection of all four, above a threshold: it fires where they are right together, so what is
    read back has all of them in common with what was asked.
    """
    attention, dim = layer.self_attn, config.head_dim
    scale = math.sqrt(config.hidden_size / 5.5)
    query, key, value = attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight
    query.zero_(), key.zero_(), value.zero_()
    threshold = -1.5 * sharpness / (0.5 * scale)
    for head in range(config.kv_heads):
        rows = slice(head * dim, (head + 1) * dim)
        queries = [slice(start * dim, (start + 1) * dim) for start in (head * 2, head * 2 + 1)]
        for block, (share, asked) in STORED.items():
            # Codes have norm `scale` here, so a feature has variance `sharpness` squared.
            projection = torch.randn(dim, WIDTH, generator=generator) * sharpness * share / scale
            key[rows, BLOCKS[block]] = projection
            for part in queries:
                query[part, BLOCKS[asked]] = projection
        key[rows, CONSTANT] = threshold
        for part in queries:
            query[part, CONSTANT] = threshold
        value[head * dim:head * dim + WIDTH, BLOCKS["own"]] = torch.eye(WIDTH) / scale
    out = attention.o_proj.weight
    out[:IS_NAME + 1] = 0
    for head in range(config.heads):
        out[BLOCKS["recalled"], head * dim:head * dim + WIDTH] = 0.6 * torch.eye(WIDTH)
    attention.infini_gate.fill_(3.0)

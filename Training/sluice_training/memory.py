"""The compressive memory of Infini-attention, for whole sequences of segments at once.

Source: arXiv 2404.07143, sections 2.1.2 and 2.1.3. Deviations: one memory a KV head, read by all query heads of its
group; float32 whatever the rest is; the divisor is at least epsilon; the delta of a first segment is the value itself.
"""

import torch
import torch.nn.functional as F


def features(x):
    """ELU + 1, in float32 at least."""
    x = x if x.dtype == torch.float64 else x.float()
    return F.elu(x) + 1


def read(queries, memory, normalizer, epsilon):
    """queries `[..., token, dim]`, memory `[..., dim, dim]`, normalizer `[..., dim]` -> `[..., token, dim]`."""
    divisor = (queries @ normalizer.unsqueeze(-1)).clamp_min(epsilon)
    return queries @ memory / divisor


def write(keys, values, memory, normalizer, update, epsilon, is_first):
    """The memory after a segment; `keys` have gone through `features`."""
    if update == "delta" and not is_first:
        values = values - read(keys, memory, normalizer, epsilon)
    return memory + keys.transpose(-1, -2) @ values, normalizer + keys.sum(-2)


class Memory:
    """M `[batch, KV head, dim, dim]` and z `[batch, KV head, dim]` of one layer after `segments` finished segments."""

    def __init__(self, matrix, normalizer, segments=0):
        self.matrix, self.normalizer, self.segments = matrix, normalizer, segments

    @classmethod
    def empty(cls, batch, heads, dim, like):
        dtype = like.dtype if like.dtype == torch.float64 else torch.float32
        return cls(
            torch.zeros(batch, heads, dim, dim, dtype=dtype, device=like.device),
            torch.zeros(batch, heads, dim, dtype=dtype, device=like.device))


def read_and_write(queries, keys, values, memory, config):
    """Reads the memory before each segment and adds each full segment after it.

    queries `[batch, KV head, segment, group, token, dim]`, keys and values `[batch, KV head, segment, token, dim]`,
    without positions. Returns what was read, shaped as queries, and the memory after the last segment that is full.
    Gradients go through all segments. Under "linear" all segments are summed at once; "delta" goes through them in turn.
    """
    queries, keys = features(queries), features(keys)
    values = values.to(keys.dtype)
    batch, heads, segments, group, tokens, dim = queries.shape
    full = segments if tokens == config.segment else 0
    flat = queries.reshape(batch, heads, segments, group * tokens, dim)
    if config.update == "linear":
        added = keys.transpose(-1, -2) @ values
        sums = keys.sum(-2)
        matrices = memory.matrix.unsqueeze(2) + added.cumsum(2) - added
        normalizers = memory.normalizer.unsqueeze(2) + sums.cumsum(2) - sums
        answers = read(flat, matrices, normalizers, config.epsilon)
        if full:
            memory = Memory(
                memory.matrix + added.sum(2), memory.normalizer + sums.sum(2), memory.segments + segments)
    else:
        parts = []
        for index in range(segments):
            parts.append(read(flat[:, :, index], memory.matrix, memory.normalizer, config.epsilon))
            if full:
                memory = Memory(
                    *write(
                        keys[:, :, index], values[:, :, index], memory.matrix, memory.normalizer, config.update,
                        config.epsilon, is_first=memory.segments == 0),
                    memory.segments + 1)
        answers = torch.stack(parts, 2)
    return answers.reshape(queries.shape), memory

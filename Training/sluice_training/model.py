"""The one Llama of this project; switches of `ModelConfig` make it vanilla, with a sink, or with a memory."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .memory import Memory, read_and_write


class RMSNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


def rotary(positions, dim, theta, dtype):
    """Cosines and sines `[token, dim / 2]`; angles are made in float64, as in Sluice."""
    frequencies = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64, device=positions.device) / dim)
    angles = positions.to(torch.float64).unsqueeze(-1) * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x, table):
    """Turns `[..., token, dim]` in pairs half a head apart."""
    cos, sin = table
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)
        if config.sink == "logit":
            self.sinks = nn.Parameter(torch.zeros(config.heads))
        if config.infini:
            self.infini_gate = nn.Parameter(torch.full((config.heads,), float(config.infini.initial_gate)))
            if config.infini.update == "local":
                self.infini_gate.requires_grad_(False).fill_(-100.0)

    def forward(self, x, table, memory=None):
        """x `[batch, token, hidden]`; with a memory, whole segments of tokens, or less than one."""
        config = self.config
        batch, tokens, _ = x.shape
        group = config.heads // config.kv_heads
        q = self.q_proj(x).view(batch, tokens, config.kv_heads, group, config.head_dim)
        k = self.k_proj(x).view(batch, tokens, config.kv_heads, config.head_dim)
        v = self.v_proj(x).view(batch, tokens, config.kv_heads, config.head_dim)
        size = min(config.infini.segment, tokens) if config.infini else tokens
        # [batch, KV head, segment, group, token, dim] and the same without group.
        q = q.view(batch, tokens // size, size, config.kv_heads, group, config.head_dim).permute(0, 3, 1, 4, 2, 5)
        k = k.view(batch, tokens // size, size, config.kv_heads, config.head_dim).permute(0, 3, 1, 2, 4)
        v = v.view(batch, tokens // size, size, config.kv_heads, config.head_dim).permute(0, 3, 1, 2, 4)
        y = self.softmax_attention(rotate(q, table), rotate(k, table), v)
        if config.infini and config.infini.update != "local":
            y, memory = self.mix(y, q, k, v, memory)
        y = y.permute(0, 2, 4, 1, 3, 5).reshape(batch, tokens, config.heads * config.head_dim)
        return self.o_proj(y), memory

    def softmax_attention(self, q, k, v):
        """Causal attention within each segment; with a sink, over one more logit whose value is zero.

        That logit is a key before all others, so one kernel serves all sinks: a key of zeros, or, where the logit is
        learned, one that meets a query's additional dimension of 1. The sink is a query too; its row is dropped.
        """
        scale = self.config.head_dim**-0.5
        k, v = (x.unsqueeze(3).expand(*q.shape[:4], *x.shape[-2:]) for x in (k, v))
        if self.config.sink in ("zero", "logit"):
            q, k, v = (F.pad(x, (0, 1, 1, 0)) for x in (q, k, v))
        if self.config.sink == "logit":
            q = q + F.pad(q.new_ones(1), (self.config.head_dim, 0))
            sinks = F.pad(self.sinks.view(1, self.config.kv_heads, 1, -1, 1, 1) / scale, (self.config.head_dim, 0))
            k = k + F.pad(sinks, (0, 0, 0, k.shape[-2] - 1))
        # Fused kernels are for four axes.
        y = F.scaled_dot_product_attention(*(x.flatten(0, 2) for x in (q, k, v)), is_causal=True, scale=scale)
        y = y.view(*q.shape[:4], *y.shape[-2:])
        return y[..., 1:, :self.config.head_dim] if self.config.sink in ("zero", "logit") else y

    def mix(self, local, q, k, v, memory):
        """g times what the memory answers, 1 - g times local attention."""
        config = self.config
        if memory is None:
            memory = Memory.empty(q.shape[0], config.kv_heads, config.head_dim, q)
        was_empty = memory.segments == 0
        answers, memory = read_and_write(q, k, v, memory, config.infini)
        gate = self.infini_gate.sigmoid().view(1, config.kv_heads, 1, -1, 1, 1)
        mixed = gate * answers.to(local.dtype) + (1 - gate) * local
        if was_empty and config.infini.first_segment == "bypass":
            mixed = torch.cat([local[:, :, :1], mixed[:, :, 1:]], 2)
        return mixed, memory


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x, table, memory=None):
        attended, memory = self.self_attn(self.input_layernorm(x), table, memory)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), memory


class Trunk(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, config.norm_epsilon)


class Llama(nn.Module):
    """Parameters are named as in Hugging Face's files, so that a state dict is a checkpoint."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        # Whether layers are computed again on the way back, which takes a third more time and little memory.
        self.recomputes = False
        self.model = Trunk(config)
        self.lm_head = None if config.tied else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.apply(self.initialize)

    @staticmethod
    def initialize(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)

    def hidden(self, tokens, memories=None):
        """tokens `[batch, token]` -> hidden states, and the memories of all layers after them.

        A model with a memory takes any number of tokens: what is left over from full segments is read and attended to,
        but not added to the memory. Segments are the outer loop only where they do not fill the chunk.
        """
        config, count = self.config, tokens.shape[1]
        memories = memories or [None] * config.layers
        rest = count % config.infini.segment if config.infini else 0
        if rest and rest != count:
            head, memories = self.hidden(tokens[:, :-rest], memories)
            tail, memories = self.hidden(tokens[:, -rest:], memories)
            return torch.cat([head, tail], 1), memories
        x = self.model.embed_tokens(tokens)
        size = min(config.infini.segment, count) if config.infini else count
        table = rotary(torch.arange(size, device=tokens.device), config.head_dim, config.rope_theta, x.dtype)
        after = []
        for layer, memory in zip(self.model.layers, memories):
            if self.recomputes and self.training:
                x, memory = checkpoint(layer, x, table, memory, use_reentrant=False)
            else:
                x, memory = layer(x, table, memory)
            after.append(memory)
        return x, after

    def project(self, hidden):
        matrix = self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight
        return F.linear(self.model.norm(hidden), matrix)

    def forward(self, tokens, memories=None):
        hidden, memories = self.hidden(tokens, memories)
        return self.project(hidden), memories

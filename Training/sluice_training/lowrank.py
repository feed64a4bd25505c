"""Low-rank adapters of a frozen model (arXiv 2106.09685)."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class LowRankLinear(nn.Module):
    """W x + (alpha / rank) B A x; B begins at zero."""

    def __init__(self, base, config):
        super().__init__()
        self.base = base
        self.scale = config.alpha / config.rank
        self.lora_A = nn.Parameter(torch.empty(config.rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, config.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.lora_A), self.lora_B) * self.scale


def adapt(model, config):
    """Freezes a model, puts an adapter beside each target, and leaves gates and sink logits free to learn."""
    model.requires_grad_(False)
    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name in config.targets:
                if isinstance(getattr(parent, name, None), nn.Linear):
                    setattr(parent, name, LowRankLinear(getattr(parent, name), config))
    for name, parameter in model.named_parameters():
        learned = name.endswith((".infini_gate", ".sinks", ".lora_A", ".lora_B"))
        if learned and not (name.endswith(".infini_gate") and model.config.infini.update == "local"):
            parameter.requires_grad_(True)
    return model


def adapter_state(model):
    """What an adapter's file holds: low-rank factors, and gates and sinks where the model has any."""
    return {
        name: value.detach().clone()
        for name, value in model.state_dict().items()
        if name.endswith((".lora_A", ".lora_B", ".infini_gate", ".sinks"))
    }


def merged_state(model):
    """The model's state dict with adapters added into the matrices, under the names of a model without."""
    state = {}
    modules = dict(model.named_modules())
    for name, value in model.state_dict().items():
        if name.endswith((".lora_A", ".lora_B")):
            continue
        if name.endswith(".base.weight"):
            module = modules[name.removesuffix(".base.weight")]
            state[name.replace(".base.weight", ".weight")] = value + module.scale * module.lora_B @ module.lora_A
        else:
            state[name] = value
    return {name: value.detach().clone() for name, value in state.items()}

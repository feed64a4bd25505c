"""Shares of attention, on models whose attention is known."""

import pytest
import torch
from conftest import random_model, small

from sluice_training import sinks
from sluice_training.config import InfiniConfig

IDS = torch.arange(48).view(2, 24)


def even_model(**changes):
    """A model whose queries ask for nothing."""
    model = random_model(small(**changes))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.zero_()
    return model


def test_even_attention():
    first, sink = sinks.first_token_attention(even_model(), IDS, 8)
    torch.testing.assert_close(first, torch.full((2, 4), sinks.even(24, 8), dtype=torch.float64))
    assert not sink.any()


def test_zero_sink_counts_as_one_token_more():
    first, sink = sinks.first_token_attention(even_model(sink="zero"), IDS, 8)
    torch.testing.assert_close(first, torch.full((2, 4), sinks.even(25, 9), dtype=torch.float64))
    torch.testing.assert_close(sink, first)


def test_sink_logits_are_each_heads_own():
    model = even_model(sink="logit")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.sinks.copy_(torch.tensor([-50.0, 0.0, 3.0, 50.0]))
    first, sink = sinks.first_token_attention(model, IDS, 8)
    expected = sum(torch.tensor([-50.0, 0.0, 3.0, 50.0]).double().exp() / (
        torch.tensor([-50.0, 0.0, 3.0, 50.0]).double().exp() + position + 1) for position in range(8, 24)) / 16
    torch.testing.assert_close(sink, expected.expand(2, 4))


def test_shares_are_those_that_the_layer_uses():
    """Values that are one at the first token and zero elsewhere come out as its share."""
    model = random_model(small(layers=1))
    attention = model.model.layers[0].self_attn
    first, _ = sinks.first_token_attention(model, IDS, 8)
    flags = torch.zeros(2, 24, 2, 8, dtype=torch.float64)
    flags[:, 0] = 1
    attention.v_proj.forward = lambda x: flags.view(2, 24, 16)
    given = []
    attention.o_proj.register_forward_pre_hook(lambda module, values: given.append(values[0]))
    model.hidden(IDS)
    used = given[0].view(2, 24, 4, 8)[:, 8:].mean((0, 1))
    torch.testing.assert_close(used, first[0].unsqueeze(1).expand(4, 8))


def test_a_memory_has_no_first_token():
    with pytest.raises(ValueError, match="within a segment"):
        sinks.first_token_attention(random_model(small(infini=InfiniConfig(segment=8))), IDS, 8)

"""The model against one written token by token in numpy, and against itself cut in other ways."""

import dataclasses

import numpy
import pytest
import torch
from conftest import random_model, small
from reference import Reference

from sluice_training.model import Llama


def expected(model, ids):
    reference = Reference(model.config, model.state_dict())
    return numpy.stack([reference.step(token) for token in ids])


@pytest.mark.parametrize("sink", ["none", "zero", "logit"])
@pytest.mark.parametrize("tied", [True, False])
def test_without_memory(sink, tied):
    model = random_model(small(sink=sink, tied=tied))
    ids = torch.randint(96, (1, 17), generator=torch.Generator().manual_seed(2))
    logits, _ = model(ids)
    numpy.testing.assert_allclose(logits[0].detach(), expected(model, ids[0].tolist()), atol=1e-9)


@pytest.mark.parametrize("update", ["linear", "delta"])
@pytest.mark.parametrize("first", ["bypass", "scaled"])
def test_with_memory(infini, update, first):
    """64 segments, the last not full: segment by segment, and cut anywhere a segment ends."""
    model = random_model(small(infini=infini(update, first)))
    ids = torch.randint(96, (1, 5 * 64 - 2), generator=torch.Generator().manual_seed(3))
    logits, _ = model(ids)
    numpy.testing.assert_allclose(logits[0].detach(), expected(model, ids[0].tolist()), atol=1e-8)
    head, memories = model(ids[:, :35])
    tail, memories = model(ids[:, 35:], memories)
    torch.testing.assert_close(torch.cat([head, tail], 1), logits)
    assert memories[0].segments == 63


def test_closed_gates_are_local_attention(infini):
    """With g = 0 nothing is left of the memory: the model without one, segment by segment."""
    config = small(infini=infini())
    model = random_model(config)
    for layer in model.model.layers:
        layer.self_attn.infini_gate.data.fill_(-1e9)
    plain = Llama(small()).double()
    plain.load_state_dict(model.state_dict(), strict=False)
    ids = torch.randint(96, (2, 20), generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(model(ids)[0], plain(ids.view(8, 5))[0].view(2, 20, -1), atol=0, rtol=0)
    twin = Llama(dataclasses.replace(config, infini=infini("local"))).double()
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(twin(ids)[0], model(ids)[0], atol=0, rtol=0)


def test_memory_has_no_positions(infini):
    """A history that is one segment longer reads the same where the segment adds nothing."""
    model = random_model(small(infini=infini()))
    ids = torch.randint(96, (1, 15), generator=torch.Generator().manual_seed(5))
    _, memories = model(ids)
    again, _ = model(ids[:, :5], memories)
    for memory in memories:
        memory.segments += 1
    torch.testing.assert_close(model(ids[:, :5], memories)[0], again)


def test_grouped_heads(infini):
    """Each query head reads the memory of its own KV head: constant values come back as they are."""
    from sluice_training.memory import Memory, read_and_write

    keys = torch.randn(1, 2, 1, 5, 8, dtype=torch.float64)
    values = torch.tensor([3.0, -7.0], dtype=torch.float64).view(1, 2, 1, 1, 1).expand(1, 2, 1, 5, 8)
    config = infini()
    queries = torch.randn(1, 2, 1, 2, 5, 8, dtype=torch.float64)
    _, memory = read_and_write(queries, keys, values, Memory.empty(1, 2, 8, keys), config)
    answers, _ = read_and_write(queries, keys, values, memory, config)
    torch.testing.assert_close(answers[0, 0], torch.full_like(answers[0, 0], 3.0))
    torch.testing.assert_close(answers[0, 1], torch.full_like(answers[0, 1], -7.0))


def test_sequences_do_not_meet(infini):
    model = random_model(small(infini=infini("delta")))
    ids = torch.randint(96, (3, 20), generator=torch.Generator().manual_seed(6))
    together, _ = model(ids)
    for row in range(3):
        torch.testing.assert_close(model(ids[row:row + 1])[0][0], together[row])

"""The memory by itself: the numbers of specs/infini-attention.md, section 2, and the tests of its section 9."""

import pytest
import torch

from sluice_training.config import InfiniConfig
from sluice_training.memory import Memory, features, read, read_and_write, write


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_golden_example():
    keys, values = tensor([[1, 0], [0, -1]]), tensor([[1, 2], [3, 4]])
    empty = torch.zeros(2, 2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    matrix, normalizer = write(features(keys), values, *empty, "linear", 1e-6, is_first=True)
    torch.testing.assert_close(matrix, tensor([[5, 8], [2.103638, 3.471518]]), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalizer, tensor([3, 1.367879]), atol=1e-6, rtol=0)
    answer = read(features(tensor([[0.5, -0.5]])), matrix, normalizer, 1e-6)
    torch.testing.assert_close(answer, tensor([[1.646619, 2.646619]]), atol=1e-6, rtol=0)
    keys, values = features(tensor([[1, 0], [2, 1]])), tensor([[1, 2], [-1, 0]])
    expected = {
        "linear": [[4, 12], [1.103638, 5.471518]], "delta": [[-4.195451, -1.195451], [-3.812410, -2.444531]]}
    for update, rows in expected.items():
        after, sums = write(keys, values, matrix, normalizer, update, 1e-6, is_first=False)
        torch.testing.assert_close(after, tensor(rows), atol=1e-6, rtol=0)
        torch.testing.assert_close(sums, tensor([8, 4.367879]), atol=1e-6, rtol=0)


def test_same_pair_twice():
    key, value = features(tensor([[0.3, -0.2]])), tensor([[2.0, -1.0]])
    state = write(key, value, torch.zeros(2, 2).double(), torch.zeros(2).double(), "linear", 1e-6, is_first=True)
    linear = write(key, value, *state, "linear", 1e-6, is_first=False)
    delta = write(key, value, *state, "delta", 1e-6, is_first=False)
    torch.testing.assert_close(linear[0], 2 * state[0])
    torch.testing.assert_close(read(key, *linear, 1e-6), value)
    torch.testing.assert_close(delta[0], state[0])
    torch.testing.assert_close(read(key, *delta, 1e-6), value / 2)


def drawn(segments=4, tokens=6, group=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (1, 2, segments, tokens, 4)
    queries = torch.randn(1, 2, segments, group, tokens, 4, generator=generator, dtype=torch.float64)
    keys, values = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return queries, keys, values


def after(keys, values, update):
    config = InfiniConfig(segment=keys.shape[3], update=update)
    queries = torch.zeros(1, 2, keys.shape[2], 1, keys.shape[3], 4, dtype=torch.float64)
    return read_and_write(queries, keys, values, Memory.empty(1, 2, 4, queries), config)[1]


@pytest.mark.parametrize("update", ["linear", "delta"])
def test_order(update):
    """Linear does not care for any order; delta does for that of segments, but not for that within one."""
    _, keys, values = drawn()
    base = after(keys, values, update).matrix
    within = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(after(keys[..., within, :], values[..., within, :], update).matrix, base)
    across = after(keys.flip(2), values.flip(2), update).matrix
    assert torch.allclose(across, base) == (update == "linear")


@pytest.mark.parametrize("update", ["linear", "delta"])
def test_segments_in_turn(update):
    """All segments at once read and leave what one after another do, and gradients reach the first."""
    queries, keys, values = drawn()
    values.requires_grad_(True)
    config = InfiniConfig(segment=6, update=update)
    memory = Memory.empty(1, 2, 4, queries)
    whole, end = read_and_write(queries, keys, values, memory, config)
    for index in range(4):
        part = slice(index, index + 1)
        answer, memory = read_and_write(queries[:, :, part], keys[:, :, part], values[:, :, part], memory, config)
        torch.testing.assert_close(answer, whole[:, :, part])
    torch.testing.assert_close(memory.matrix, end.matrix)
    assert memory.segments == end.segments == 4
    whole[:, :, 3].sum().backward()
    assert values.grad[:, :, 0].abs().sum() > 0
    assert values.grad[:, :, 3].abs().sum() == 0


def test_half_precision_stays_finite():
    """M and z are float32 whatever comes in; a million tokens overflow nothing."""
    keys = torch.full((1, 1, 1000, 1000, 2), 3.0, dtype=torch.float16)
    config = InfiniConfig(segment=1000)
    _, memory = read_and_write(
        torch.zeros(1, 1, 1000, 1, 1000, 2, dtype=torch.float16), keys, keys,
        Memory.empty(1, 1, 2, keys), config)
    assert memory.matrix.dtype == torch.float32 and memory.matrix.isfinite().all()
    torch.testing.assert_close(memory.normalizer[0, 0, 0].item(), 4e6, rtol=1e-5, atol=0)

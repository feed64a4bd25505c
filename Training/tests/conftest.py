import pytest
import torch

from sluice_training.config import InfiniConfig, ModelConfig
from sluice_training.model import Llama

torch.set_num_threads(1)


def small(**changes):
    values = dict(
        vocab_size=96, hidden_size=32, intermediate_size=64, layers=2, heads=4, kv_heads=2, head_dim=8, trained_length=64,
        bos_token=0, eos_token=1)
    return ModelConfig(**{**values, **changes})


def random_model(config, seed=0, dtype=torch.float64):
    """A model whose numbers are large enough for mistakes to show; its gates are all different."""
    torch.manual_seed(seed)
    model = Llama(config).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5)
            elif parameter.requires_grad:
                parameter.normal_(std=0.4)
    return model.eval()


@pytest.fixture
def infini():
    return lambda update="linear", first="bypass", segment=5: InfiniConfig(
        segment=segment, update=update, first_segment=first)

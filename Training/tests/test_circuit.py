"""The circuit recalls before any training: that is what it is for."""


import pytest
import torch
from conftest import small

from sluice_training import circuit, evaluate
from sluice_training.config import InfiniConfig, ModelConfig
from sluice_training.model import Llama
from sluice_training.recall import NAMES, RecallDocuments
from sluice_training.run import read_config
from sluice_training.text import load_tokenizer

TOKENIZER = load_tokenizer("tokenizer")


class Filler:
    """A text of tokens drawn evenly, none of which is a digit or stands in a fact."""

    def __init__(self):
        said = "\nThe pass key is . Remember it.What? 0123456789 " + " ".join(NAMES)
        self.ids = sorted(set(range(2, 1024)) - set(TOKENIZER.encode(said).ids))

    def passage(self, random, length):
        return random.choices(self.ids, k=length)


def installed():
    values = read_config("configs/infini-linear.toml")
    torch.manual_seed(3)
    model = Llama(ModelConfig.from_dict(values["model"]))
    names = [TOKENIZER.encode(" " + name).ids[-1] for name in values["start"]["names"]]
    return circuit.install(model, names, 3).eval()


class Repeating(RecallDocuments):
    """Keys whose first two digits come again before another one: 3 4 3 4 1."""

    def digits(self, random, count):
        first, second, last = random.sample("0123456789", 3)
        return (first + second) * 2 + last


def measured(source):
    return evaluate.recall(installed(), source(TOKENIZER, Filler()), "pass_key", 3, cases=20, batch=20)


def test_it_recalls_untrained():
    shares = measured(RecallDocuments)
    assert shares["tokens"] > 0.9 and shares["without tokens"] < 0.3


def test_the_third_token_back_tells_repeated_digits_apart(monkeypatch):
    with_third = measured(Repeating)["tokens"]
    monkeypatch.setattr(circuit, "STORED", {block: one for block, one in circuit.STORED.items() if block != "back3"})
    assert with_third > measured(Repeating)["tokens"] + 0.05


@pytest.mark.parametrize("change", [
    {"infini": None}, {"tied": True}, {"layers": 2}, {"hidden_size": 128}, {"kv_heads": 4}])
def test_it_refuses_other_shapes(change):
    shape = dict(
        vocab_size=1024, hidden_size=256, layers=3, heads=4, kv_heads=2, head_dim=64, tied=False,
        infini=InfiniConfig(segment=64))
    with pytest.raises(ValueError, match="the circuit needs"):
        circuit.install(Llama(small(**{**shape, **change})), [5])

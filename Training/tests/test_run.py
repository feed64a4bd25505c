"""A run that is stopped and taken up again has the losses of one that was not; adapters change nothing at first."""

import json
import random

import pytest
import torch
from conftest import random_model, small

from sluice_training import lowrank
from sluice_training.config import AdapterConfig
from sluice_training.recall import RecallDocuments
from sluice_training.run import Run
from sluice_training.text import Text, files, load_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of texts: words drawn by a seed."""
    folder = tmp_path_factory.mktemp("text")
    words = "the a of key number river stone walks under seven lanterns and then 4 19 .".split()
    for index in range(12):
        generator = random.Random(index)
        (folder / f"{index:02}.txt").write_text("\n".join(
            " ".join(generator.choice(words) for _ in range(12)) for _ in range(60)))
    return folder


def config(folder, **model):
    values = dict(
        vocab_size=1024, hidden_size=32, intermediate_size=32, layers=2, heads=4, kv_heads=2, head_dim=8,
        trained_length=16, bos_token=0, eos_token=1)
    return {
        "tokenizer": "tokenizer", "model": {**values, **model}, "text": {"folder": str(folder)},
        "data": {"length": 128, "tokens": 256, "recall": {"share": 0.5, "kinds": ["pass_key", "numbers", "lines", "copy"]}},
        "training": {"steps": 6, "rate": 1e-3, "warm_up": 2, "seed": 5}}


INFINI = {"segment": 64, "update": "delta"}


@pytest.mark.parametrize("model", [{}, {"infini": INFINI}, {"sink": "token", "sink_token": 0}], ids=["plain", "infini", "sink"])
def test_resume(folder, tmp_path, model):
    values = config(folder, **model)
    if "infini" in model:
        values["data"].update(stages=[2, 4], next_stage=-1.0, tokens=256)
    whole = Run(values, tmp_path / "whole")
    whole.train(save_every=100)
    parts = tmp_path / "parts"
    first = Run(values, parts)
    step = first.step

    def stopped():
        first.stops = first.step_number == 2
        return step()

    first.step = stopped
    first.train(save_every=100)
    second = Run(values, parts)
    assert second.resume() and second.step_number == 3
    second.train()
    losses = [
        [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()][-3:]
        for run in (tmp_path / "whole", parts)]
    assert losses[0] == losses[1]
    for one, other in zip(whole.model.state_dict().values(), second.model.state_dict().values()):
        assert torch.equal(one, other)


def test_held_out_files_are_not_trained_on(folder):
    training, held_out = files(folder)
    assert [path.name for path in held_out] == ["09.txt"] and len(training) == 11


@pytest.mark.parametrize("kind", RecallDocuments.KINDS)
@pytest.mark.parametrize("segment", [64, None])
def test_documents(folder, tmp_path, kind, segment):
    """Answers stand where they are said to stand, and the facts stand before them, a segment or more where there are any."""
    tokenizer = load_tokenizer("tokenizer")
    documents = RecallDocuments(tokenizer, Text(files(folder)[0], tokenizer, tmp_path))
    for seed in range(20):
        document = documents.document(random.Random(seed), kind, 1024, segment, distance=5 if segment else None)
        assert len(document.ids) == 1024 and document.answers
        text = tokenizer.decode(document.ids)
        for answer, distance in zip(document.answers, document.distances):
            said = tokenizer.decode(document.ids[answer.start:answer.stop])
            assert text.index(said) < len(tokenizer.decode(document.ids[:answer.start]))
            assert distance >= 1


def test_questions_have_distances_of_their_own(folder, tmp_path):
    """A document of 16 segments asks for several facts, each as far back as was drawn for it; one of 2 asks for two."""
    tokenizer = load_tokenizer("tokenizer")
    documents = RecallDocuments(tokenizer, Text(files(folder)[0], tokenizer, tmp_path))
    for segments, asked in ((2, 2), (16, 6)):
        found = [
            documents.document(random.Random(seed), "mixed", segments * 64, 64, whole=True, questions=6)
            for seed in range(20)]
        assert max(len(document.answers) for document in found) == asked
        assert {distance for document in found for distance in document.distances} <= set(range(segments))
        if segments > 2:
            assert all(len(document.answers) >= 4 and len(set(document.distances)) >= 3 for document in found)


def test_repeating_numbers_are_trained_on_and_not_measured(folder, tmp_path):
    """A share of the numbers has two digits; what `held_out_documents` builds has none of it, and draws as before."""
    tokenizer = load_tokenizer("tokenizer")
    text = Text(files(folder)[0], tokenizer, tmp_path)
    repeating = RecallDocuments(tokenizer, text, repeating=0.5)
    few = sum(len(set(repeating.digits(random.Random(seed), 5))) <= 2 for seed in range(400)) / 400
    assert 0.42 < few < 0.6
    values = config(folder)
    values["data"]["recall"]["repeating"] = 1.0
    run = Run(values, tmp_path)
    assert run.documents.repeating == 1.0
    assert RecallDocuments(tokenizer, text, **values["data"].get("documents", {})).repeating == 0.0


def test_adapter_begins_as_nothing_and_merges(infini):
    model = random_model(small(infini=infini()))
    ids = torch.randint(96, (1, 20), generator=torch.Generator().manual_seed(1))
    before = model(ids)[0]
    adapter = AdapterConfig(rank=3, alpha=6.0, targets=("q_proj", "v_proj", "down_proj"))
    lowrank.adapt(model, adapter).double()
    torch.testing.assert_close(model(ids)[0], before)
    learned = {name.rsplit(".", 1)[1] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learned == {"lora_A", "lora_B", "infini_gate"}
    for name, parameter in model.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.normal_(std=0.1)
    merged = random_model(small(infini=infini()))
    merged.load_state_dict(lowrank.merged_state(model))
    torch.testing.assert_close(merged(ids)[0], model(ids)[0])
    assert not torch.allclose(model(ids)[0], before)

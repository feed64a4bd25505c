"""The measurements themselves, on memories whose content is known."""


import pytest
import torch
from conftest import random_model, small

from sluice_training import evaluate
from sluice_training.config import InfiniConfig
from sluice_training.recall import RecallDocuments
from sluice_training.text import load_tokenizer


class Filler:
    """A text of one token, so that nothing but a document's pieces is said."""

    def passage(self, random, length):
        return [5] * length


class Oracle:
    """Answers from what it has read of a document: its memory is the answer itself, or nothing."""

    def __init__(self, config):
        self.config, self.answers = config, {}

    def hidden(self, ids):
        count = ids.shape[0]
        matrix = torch.arange(1.0, count + 1).view(count, 1, 1, 1)
        return None, [evaluate.Memory(matrix, torch.ones(count, 1, 1), 1)]

    def __call__(self, ids, memories):
        logits = torch.zeros(*ids.shape, self.config.vocab_size)
        for row in range(ids.shape[0]):
            which = int(memories[0].matrix[row, 0, 0, 0]) - 1
            if which >= 0:
                place, answer = self.answers[row][0], self.answers[which][1]
                for offset, token in enumerate(answer):
                    logits[row, place - 1 + offset, token] = 1
        return logits, memories


@pytest.mark.parametrize("distance", [1, 3, 20])
def test_recall_counts_what_memories_answer(distance):
    config = small(vocab_size=1024, infini=InfiniConfig(segment=64))
    source = RecallDocuments(load_tokenizer("tokenizer"), Filler())
    oracle = Oracle(config)
    found = evaluate.documents(source, "pass_key", distance, 8, 64, "evaluation")
    for row, document in enumerate(found):
        answer = document.answers[0]
        oracle.answers[row] = (answer.start - (len(document.ids) - 64), document.ids[answer.start:answer.stop])
        assert answer.start // 64 == distance and len(document.ids) == (distance + 1) * 64
    shares = evaluate.recall(oracle, source, "pass_key", distance, cases=8, batch=8)
    assert shares["exact"] == shares["tokens"] == shares["swapped other"] == 1
    assert shares["without exact"] == shares["swapped own"] == 0


def test_prompts_end_where_answers_begin():
    tokenizer = load_tokenizer("tokenizer")
    source = RecallDocuments(tokenizer, Filler())
    found = evaluate.prompts(source, "pass_key", 3, 20, 64)
    assert len(found) >= 10
    for case in found:
        assert case["prompt"].endswith("What is the pass key? The pass key is ")
        assert f"The pass key is {case['expected_number']}. Remember it." in case["prompt"]
        assert len(source.encode(case["prompt"])) > 3 * 64


def test_distance_is_at_least_a_segment():
    source = RecallDocuments(load_tokenizer("tokenizer"), Filler())
    with pytest.raises(ValueError, match="at least 1"):
        evaluate.recall(None, source, "pass_key", 0)


def test_state_does_not_grow():
    config = small(infini=InfiniConfig(segment=5))
    model = random_model(config, dtype=torch.float32)
    _, memories = model(torch.zeros(1, 10, dtype=torch.long))
    counted = sum(memory.matrix.numel() + memory.normalizer.numel() for memory in memories)
    for tokens in (1 << 10, 1 << 20):
        numbers = evaluate.sizes(config, tokens)
        assert numbers["memory"] == counted
        assert numbers["full"] == 2 * 2 * 2 * 8 * tokens

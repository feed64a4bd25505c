"""What a model with a memory recalls, at distances in segments; without its memory; and with another document's."""

import random

import torch

from .memory import Memory


def documents(source, kind, distance, cases, segment, seed):
    """Documents in which one fact is asked for `distance` segments later, in their last segment; nothing is cut."""
    found = []
    for case in range(cases * 4):
        document = source.document(
            random.Random(f"{seed}/{kind}/{distance}/{case}"), kind, (distance + 1) * segment, segment, distance=distance,
            whole=True, questions=1)
        if len(document.answers) == 1 and document.distances == [distance]:
            found.append(document)
        if len(found) == cases:
            return found
    raise ValueError(f"'{kind}' does not fit into segments of {segment} tokens")


def prompts(source, kind, distance, cases, segment, seed="sluice"):
    """The same documents up to their answers as `sluice evaluate recall` reads them: texts and numbers.

    Left out are answers that are no number, or begin with a zero, and texts whose tokens would be others.
    """
    found = []
    for document in documents(source, kind, distance, cases, segment, seed):
        ids = document.ids[:document.answers[0].start]
        text = source.tokenizer.decode(ids, skip_special_tokens=False)
        answer = source.tokenizer.decode(answer_ids(document)).strip()
        if answer.isdigit() and answer[0] != "0" and source.encode(text) == ids:
            found.append({"prompt": text, "expected_number": int(answer)})
    return found


def memories_before(model, ids):
    """The memories after all segments but the last."""
    return model.hidden(ids[:, :-model.config.infini.segment])[1]


def emptied(memories):
    """The same count of segments, M all zero."""
    return [Memory(torch.zeros_like(memory.matrix), memory.normalizer, memory.segments) for memory in memories]


def swapped(memories):
    """Each document's memory in the next document's place."""
    return [
        Memory(memory.matrix.roll(1, 0), memory.normalizer.roll(1, 0), memory.segments) for memory in memories]


@torch.no_grad()
def recall(model, source, kind, distance, cases=100, seed="evaluation", batch=20):
    """Shares of right answers, teacher-forced, which is right as often as greedy decoding: whole answers and tokens.

    Under `with memory`; `without`, where M is zero; and `swapped`, of the other document's answer and the own one.
    """
    if distance < 1:
        raise ValueError("a memory holds finished segments: a distance is at least 1")
    segment = model.config.infini.segment
    found = documents(source, kind, distance, cases, segment, seed)
    # Long documents fewer at once, but two at least, whose memories can be swapped.
    batch = max(2, min(batch, (1 << 16) // len(found[0].ids)))
    totals = {"exact": 0, "tokens": 0.0, "without exact": 0, "without tokens": 0.0, "swapped other": 0, "swapped own": 0}
    for first in range(0, cases, batch):
        part = found[first:first + batch]
        ids = torch.tensor([document.ids for document in part])
        if model.config.infini.update == "local":
            states = {"": None}
        else:
            before = memories_before(model, ids)
            states = {"": before, "without ": emptied(before)}
        for name, memories in states.items():
            logits, _ = model(ids[:, -segment:], memories)
            for row, document in enumerate(part):
                right = marks(logits[row], ids[row], document, segment)
                totals[name + "exact"] += int(right.all())
                totals[name + "tokens"] += right.float().mean().item()
        if model.config.infini.update != "local" and len(part) > 1:
            for asked in (0, 1):
                swap(model, part, ids, before, asked, totals)
    return {name: value / cases for name, value in totals.items()}


def answer_ids(document):
    answer = document.answers[0]
    return document.ids[answer.start:answer.stop]


def marks(logits, ids, document, segment):
    """Which tokens of a document's answer are the likeliest."""
    answer, start = document.answers[0], len(document.ids) - segment
    predicted = logits[answer.start - 1 - start:answer.stop - 1 - start].argmax(-1)
    return predicted == ids[answer.start:answer.stop]


def swap(model, part, ids, before, asked, totals):
    """Reads a question with another document's memory: with the other's answer in its place, then with its own."""
    segment = model.config.infini.segment
    asking = ids[:, -segment:].clone()
    others = [answer_ids(part[row - 1]) for row in range(len(part))]
    if asked == 0:
        for row, document in enumerate(part):
            start = document.answers[0].start - (len(document.ids) - segment)
            if len(others[row]) == len(document.answers[0]):
                asking[row, start:start + len(others[row])] = torch.tensor(others[row])
    logits, _ = model(asking, swapped(before))
    for row, document in enumerate(part):
        wanted = others[row] if asked == 0 else answer_ids(document)
        start = document.answers[0].start - (len(document.ids) - segment)
        predicted = logits[row, start - 1:start - 1 + len(wanted)].argmax(-1).tolist()
        totals["swapped other" if asked == 0 else "swapped own"] += int(predicted == list(wanted))


def sizes(config, tokens):
    """Numbers that a full cache keeps after so many tokens, and that this model keeps: memory, and with its segment."""
    full = config.layers * config.kv_heads * config.head_dim * 2 * tokens
    memory = config.layers * config.kv_heads * config.head_dim * (config.head_dim + 1)
    local = config.layers * config.kv_heads * config.head_dim * 2 * config.infini.segment
    return {"full": full, "memory": memory, "memory and segment": memory + local}

"""A training run: built from a configuration, stepped, saved, and taken up again to the same losses."""

import json
import math
import os
import random
import time
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F

from . import circuit, lowrank, weights
from .config import AdapterConfig, ModelConfig
from .model import Llama
from .recall import RecallDocuments
from .text import Text, files, load_tokenizer


def read_config(path):
    """A TOML file; its paths are relative to the folder `Training`, and `~` and variables are expanded."""
    with open(path, "rb") as file:
        return tomllib.load(file)


def expand(path):
    return Path(os.path.expandvars(os.path.expanduser(str(path))))


def build_model(config, tokenizer, seed):
    """A fresh model, one that starts as a circuit, or one from a folder or GGUF file; with its adapter, if it has one."""
    torch.manual_seed(seed)
    start = config.get("start", {})
    if "from" in start:
        model_config, state = weights.load(expand(start["from"]))
        model_config = ModelConfig.from_dict({**model_config.to_dict(), **config.get("model", {})})
        model = Llama(model_config)
        missing, unexpected = model.load_state_dict(state, strict=False)
        if unexpected or any(not name.endswith((".infini_gate", ".sinks")) for name in missing):
            raise ValueError(f"'{start['from']}' does not fit: missing {missing}, unexpected {unexpected}")
    else:
        model = Llama(ModelConfig.from_dict(config["model"]))
    if start.get("circuit"):
        names = start["names"]
        circuit.install(model, [tokenizer.encode(" " + name).ids[-1] for name in names], seed)
    if "adapter" in config:
        values = dict(config["adapter"])
        values["targets"] = tuple(values.get("targets", AdapterConfig.targets))
        lowrank.adapt(model, AdapterConfig(**values))
        if "from" in start and "adapter" in start:
            weights.load_adapter(model, expand(start["adapter"]))
    return model


def optimizer_groups(model, training):
    """Matrices with decay; norms, gates and sinks without; gates at a rate of their own."""
    groups = {"matrices": [], "vectors": [], "gates": []}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        kind = "gates" if name.endswith((".infini_gate", ".sinks")) else "matrices" if parameter.dim() > 1 else "vectors"
        groups[kind].append(parameter)
    rate, gate_rate = training["rate"], training.get("gate_rate", 0.01)
    decay = training.get("decay", 0.1)
    return [
        {"params": groups["matrices"], "peak": rate, "weight_decay": decay, "constant": False},
        {"params": groups["vectors"], "peak": rate, "weight_decay": 0.0, "constant": False},
        {"params": groups["gates"], "peak": gate_rate, "weight_decay": 0.0, "constant": True},
    ]


class Run:
    """State of a run is its model, its optimiser, its step and its stage; batches follow from seed and step alone."""

    def __init__(self, config, folder):
        self.config, self.folder = config, Path(folder)
        self.training, self.data = config["training"], config["data"]
        self.seed = self.training.get("seed", 0)
        torch.set_num_threads(self.training.get("threads", 1))
        tokens = expand(config["tokenizer"])
        self.tokenizer = load_tokenizer(tokens)
        self.model = build_model(config, self.tokenizer, self.seed)
        source = config["text"]
        paths, held_out = files(expand(source["folder"]), source.get("files"))
        cache = expand(source.get("cache", self.folder))
        self.text = Text(paths, self.tokenizer, cache)
        self.held_out_paths, self.cache = held_out, cache
        # What is measured has evenly drawn numbers, whatever the training has.
        self.documents = RecallDocuments(
            self.tokenizer, self.text, **self.data.get("documents", {}),
            repeating=self.data.get("recall", {}).get("repeating", 0.0))
        self.model.recomputes = self.training.get("recompute", False)
        self.optimizer = torch.optim.AdamW(
            [group for group in optimizer_groups(self.model, self.training) if group["params"]],
            lr=self.training["rate"], betas=(0.9, self.training.get("beta2", 0.95)))
        self.step_number, self.stage, self.accuracy, self.minutes = 0, 0, 0.0, 0.0
        # Whether the run ends after the step under way; what a signal sets.
        self.stops = False

    # Batches

    @property
    def segments(self):
        stages = self.data.get("stages", [])
        return stages[min(self.stage, len(stages) - 1)] if stages else None

    def batch(self, step):
        """Ids `[sample, length + 1]`, and the weight and answer mark of each prediction `[sample, length]`."""
        generator = random.Random(f"{self.seed}/{step}")
        infini = self.model.config.infini
        length = self.segments * infini.segment if self.segments else self.data["length"]
        count = max(1, self.data["tokens"] // length)
        recall = self.data.get("recall", {})
        ids = torch.zeros(count, length + 1, dtype=torch.long)
        loss_weights = torch.full((count, length), float(self.data.get("text_weight", 1.0)))
        marks = torch.zeros(count, length, dtype=torch.bool)
        for row in range(count):
            if generator.random() >= recall.get("share", 0.0):
                ids[row] = torch.tensor(self.text.passage(generator, length + 1))
                if not recall:
                    loss_weights[row] = 1.0
                continue
            kind = generator.choice(recall["kinds"])
            document = self.documents.document(
                generator, kind, length, segment=infini.segment if infini else None,
                whole=generator.random() < recall.get("whole", 1.0), questions=recall.get("questions", 2))
            ids[row, :length] = torch.tensor(document.ids)
            ids[row, length] = document.ids[-1]
            for answer in document.answers:
                loss_weights[row, answer.start - 1:answer.stop - 1] = self.data.get("answer_weight", 5.0)
                marks[row, answer.start - 1:answer.stop - 1] = True
        sink = self.model.config.sink_token
        if sink is not None:
            # The sink begins every sample; the text is one token shorter, its last prediction the same as elsewhere.
            ids = torch.cat([torch.full((count, 1), sink), ids], 1)
            loss_weights = torch.cat([torch.zeros(count, 1), loss_weights], 1)
            marks = torch.cat([torch.zeros(count, 1, dtype=torch.bool), marks], 1)
        return ids, loss_weights, marks

    # Steps

    def rate(self, step):
        """The share of a group's peak rate: a warm-up, then a cosine down to a tenth."""
        total, warm = self.training["steps"], self.training.get("warm_up", 50)
        if step < warm:
            return (step + 1) / warm
        return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))

    def step(self):
        """One update; returns what is logged of it."""
        began = time.process_time()
        share = self.rate(self.step_number)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * (1.0 if group["constant"] else share)
        ids, loss_weights, marks = self.batch(self.step_number)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        totals = {"loss": 0.0, "text": [0.0, 0], "answers": [0.0, 0], "right": 0}
        whole = loss_weights.sum()
        # Sample by sample where memory or caches ask for it; gradients add up to those of the batch.
        size = self.training.get("rows", len(ids))
        for first in range(0, len(ids), size):
            rows = slice(first, first + size)
            loss = self.accumulate(ids[rows], loss_weights[rows], marks[rows], totals) / whole
            loss.backward()
            totals["loss"] += loss.item()
        torch.nn.utils.clip_grad_norm_(
            [parameter for group in self.optimizer.param_groups for parameter in group["params"]], 1.0)
        self.optimizer.step()
        self.step_number += 1
        self.minutes += (time.process_time() - began) / 60
        return self.record(totals)

    def accumulate(self, ids, loss_weights, marks, totals):
        """The weighted sum of losses; logits are made only where something weighs."""
        hidden, _ = self.model.hidden(ids[:, :-1])
        counted = loss_weights > 0
        logits, wanted, is_answer = self.model.project(hidden[counted]), ids[:, 1:][counted], marks[counted]
        losses = F.cross_entropy(logits.float(), wanted, reduction="none")
        for name, chosen in (("text", ~is_answer), ("answers", is_answer)):
            totals[name][0] += losses[chosen].sum().item()
            totals[name][1] += int(chosen.sum())
        totals["right"] += int(((logits.argmax(-1) == wanted) & is_answer).sum())
        return (losses * loss_weights[counted]).sum()

    def record(self, totals):
        record = {"step": self.step_number, "minutes": round(self.minutes, 2), "loss": totals["loss"]}
        for name in ("text", "answers"):
            if totals[name][1]:
                record[name] = totals[name][0] / totals[name][1]
        if totals["answers"][1]:
            record["digits"] = totals["right"] / totals["answers"][1]
            self.accuracy = 0.95 * self.accuracy + 0.05 * record["digits"]
            stages = self.data.get("stages", [])
            if stages:
                record["segments"] = self.segments
                if self.accuracy >= self.data.get("next_stage", 0.85) and self.stage < len(stages) - 1:
                    self.stage, self.accuracy = self.stage + 1, self.data.get("next_stage", 0.85) - 0.1
        gates = [layer.self_attn.infini_gate for layer in self.model.model.layers if self.model.config.infini]
        if gates and self.step_number % 10 == 0:
            record["gates"] = [[round(value, 3) for value in gate.detach().sigmoid().tolist()] for gate in gates]
        return record

    # Checkpoints

    def save(self):
        """Writes the run beside its last state and then in its place: a run that is ended loses nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "model": {
                name: value for name, value in self.model.state_dict().items() if not name.endswith(".base.weight")},
            "optimizer": self.optimizer.state_dict(), "step": self.step_number, "stage": self.stage,
            "accuracy": self.accuracy, "minutes": self.minutes}
        torch.save(state, self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.folder / "checkpoint.pt")
        (self.folder / "model.json").write_text(json.dumps(self.model.config.to_dict(), indent=1) + "\n")

    def resume(self):
        """Takes up the last checkpoint, if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        missing, unexpected = self.model.load_state_dict(state["model"], strict=False)
        if unexpected or any(not name.endswith(".base.weight") for name in missing):
            raise ValueError(f"'{path}' is of another model")
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_number, self.stage = state["step"], state["stage"]
        self.accuracy, self.minutes = state["accuracy"], state["minutes"]
        return True

    def train(self, save_every=50, print_every=10):
        """Steps until the configured number; a run that was stopped drops what it logged after its checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log.jsonl"
        kept = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= self.step_number] if log.exists() else []
        log.write_text("".join(line + "\n" for line in kept))
        with log.open("a") as file:
            while self.step_number < self.training["steps"] and not self.stops:
                record = self.step()
                file.write(json.dumps(record) + "\n")
                file.flush()
                if self.step_number % print_every == 0:
                    print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in record.items()}), flush=True)
                if self.step_number % save_every == 0:
                    self.save()
        self.save()

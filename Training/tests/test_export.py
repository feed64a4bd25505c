"""What is written is read back as it was, by this project and, where it is vanilla, by transformers."""

import pytest
import torch
from conftest import random_model, small

from sluice_training import export, lowrank, weights
from sluice_training.config import AdapterConfig

MODELS = {
    "vanilla": {}, "untied": {"tied": False}, "sink token": {"sink": "token", "sink_token": 0},
    "sink logit": {"sink": "logit"}, "infini": "linear", "infini delta": "delta"}


def model_named(name, infini, **sizes):
    changes = MODELS[name]
    if isinstance(changes, str):
        changes = {"infini": infini(changes, "scaled")}
    return random_model(small(vocab_size=1024, **sizes, **changes), dtype=torch.float32)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["folder", "gguf"])
def test_model_round_trip(tmp_path, infini, name, form):
    model = model_named(name, infini)
    path = tmp_path / ("model.gguf" if form == "gguf" else "model")
    write = export.write_gguf if form == "gguf" else export.write_folder
    write(model.config, model.state_dict(), "tokenizer", path)
    config, state = weights.load(path)
    assert config == model.config
    assert state.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(state[key], value), key


def test_zero_sink_is_a_sink_logit_of_zero(tmp_path):
    model = random_model(small(vocab_size=1024, sink="zero"), dtype=torch.float32)
    export.write_folder(model.config, model.state_dict(), "tokenizer", tmp_path)
    config, state = weights.load(tmp_path)
    again = random_model(config, dtype=torch.float32)
    again.load_state_dict(state)
    ids = torch.arange(20).view(1, -1)
    assert config.sink == "logit"
    torch.testing.assert_close(again(ids)[0], model(ids)[0])


@pytest.mark.parametrize("kind,error", [("f16", 1e-3), ("q8_0", 2e-2)])
def test_narrow_gguf(tmp_path, infini, kind, error):
    model = model_named("infini", infini, head_dim=16)
    path = tmp_path / "model.gguf"
    export.write_gguf(model.config, model.state_dict(), "tokenizer", path, kind)
    for key, value in weights.load(path)[1].items():
        expected = model.state_dict()[key]
        assert (value - expected).abs().max() <= error * expected.abs().max(), key


@pytest.mark.parametrize("name", ["vanilla", "untied", "sink token"])
def test_transformers_reads_vanilla_models(tmp_path, infini, name):
    transformers = pytest.importorskip("transformers")
    model = model_named(name, infini)
    export.write_folder(model.config, model.state_dict(), "tokenizer", tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.randint(1024, (2, 30), generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(theirs(ids).logits, model(ids)[0], atol=2e-4, rtol=1e-4)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    first = tokenizer("The number of the otter is 482.")["input_ids"][0]
    assert (first == 0) == (name == "sink token")


@pytest.mark.parametrize("name", ["vanilla", "infini"])
def test_adapter_round_trip(tmp_path, infini, name):
    """PEFT's layout comes back into an adapted model; the GGUF's factors make the same update, gates beside them."""
    from gguf import GGUFReader

    model = model_named(name, infini)
    adapter = AdapterConfig(rank=4, alpha=8.0)
    lowrank.adapt(model, adapter)
    for key, parameter in model.named_parameters():
        if key.endswith("lora_B"):
            parameter.data.normal_()
    state = lowrank.adapter_state(model)
    export.write_adapter_folder(model.config, adapter, state, tmp_path / "adapter")
    again = lowrank.adapt(model_named(name, infini), adapter)
    weights.load_adapter(again, tmp_path / "adapter")
    ids = torch.arange(30).view(1, -1)
    torch.testing.assert_close(again(ids)[0], model(ids)[0], atol=0, rtol=0)
    export.write_adapter_gguf(model.config, adapter, state, tmp_path / "adapter.gguf")
    tensors = {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in GGUFReader(tmp_path / "adapter.gguf").tensors}
    heads = {"q": model.config.heads, "k": model.config.kv_heads}
    for layer in range(model.config.layers):
        for short, count in heads.items():
            product = tensors[f"blk.{layer}.attn_{short}.weight.lora_b"] @ tensors[f"blk.{layer}.attn_{short}.weight.lora_a"]
            module = getattr(model.model.layers[layer].self_attn, short + "_proj")
            expected = export.interleave((module.lora_B @ module.lora_A).detach().numpy(), count)
            torch.testing.assert_close(product, torch.from_numpy(expected))
        assert (f"blk.{layer}.attn_infini_gate.weight" in tensors) == (name == "infini")

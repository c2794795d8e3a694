"""The paper's language and image tasks in small: the four middle attention layers of BERT and Swin."""

import pytest
import torch
from torch import nn

from memel import attach, detach, plain_state_dict

transformers = pytest.importorskip("transformers")


def train(model: nn.Module, inputs: dict[str, torch.Tensor], steps: int = 4) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        assert torch.isfinite(loss)
        loss.backward()
        optimizer.step()


def bert() -> tuple[nn.Module, dict[str, torch.Tensor], list[str]]:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=6,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
        num_labels=3,
    )
    inputs = {"input_ids": torch.randint(0, 50, (4, 12)), "labels": torch.tensor([0, 1, 2, 0])}
    layers = [f"bert.encoder.layer.{index}.attention" for index in range(1, 5)]
    return transformers.BertForSequenceClassification(config), inputs, layers


def swin() -> tuple[nn.Module, dict[str, torch.Tensor], list[str]]:
    config = transformers.SwinConfig(
        image_size=32,
        patch_size=2,
        num_channels=3,
        embed_dim=8,
        depths=[2, 4, 2],
        num_heads=[1, 2, 2],
        window_size=4,
        num_labels=3,
    )
    inputs = {"pixel_values": torch.randn(4, 3, 32, 32), "labels": torch.tensor([0, 1, 2, 0])}
    layers = [f"swin.encoder.layers.1.blocks.{index}.attention" for index in range(4)]
    return transformers.SwinForImageClassification(config), inputs, layers


@pytest.mark.parametrize("build", [bert, swin])
def test_four_middle_attention_layers(build):
    torch.manual_seed(0)
    model, inputs, layers = build()
    plain_keys = list(model.state_dict())
    model.eval()
    expected = model(**inputs).logits
    modules = attach(model, layers, late_start=2, neurons=3)
    assert list(modules) == layers
    assert torch.equal(model(**inputs).logits, expected)
    model.train()
    train(model, inputs)
    for module in modules.values():
        assert module.statistics.batches == 4 and module.statistics.variance.max() > 0
    assert list(plain_state_dict(model)) == plain_keys
    model.eval()
    logits = model(**inputs).logits
    detach(model)
    assert list(model.state_dict()) == plain_keys and torch.equal(model(**inputs).logits, logits)


def test_one_pattern_names_them():
    model, _, layers = bert()
    assert list(attach(model, "*.layer.[1-4].attention")) == layers

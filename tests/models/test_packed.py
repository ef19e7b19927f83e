"""Packed weights change no output, follow the weights, and are given back where those train."""

import pytest
import torch
from tests.train.families import tiny

from looptool.models.packed import PackedLinears

pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="a CPU without bf16"
)


@torch.no_grad()
def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = model(ids, use_cache=False).logits
    return out


@pytest.mark.parametrize("family", ["llama-tied", "qwen2", "gemma"])
def test_outputs_are_what_they_were_to_the_bit(family: str) -> None:
    model = tiny(family).bfloat16().requires_grad_(False)
    packed = PackedLinears(model)
    for length in (1, 5, 40):
        ids = torch.randint(5, 50, (1, length))
        plain = logits(model, ids)
        with packed.in_use():
            assert any("forward" in vars(m) for m in model.modules()), "nothing is packed"
            assert torch.equal(logits(model, ids), plain)
    assert not any("forward" in vars(m) for m in model.modules())


@pytest.mark.parametrize("trains", [False, True])
def test_weights_that_changed_are_packed_again(trains: bool) -> None:
    model = tiny("llama").bfloat16().requires_grad_(trains)
    packed, ids = PackedLinears(model), torch.randint(5, 50, (1, 7))
    with packed.in_use():
        before = logits(model, ids)
    assert bool(packed._packed) is not trains, "a second copy of weights that train"
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.mul_(2)
    with packed.in_use():
        after = logits(model, ids)
    assert not torch.equal(before, after)
    assert torch.equal(after, logits(model, ids))


@pytest.mark.parametrize("trains", [False, True])
def test_uses_that_overlap_may_end_in_any_order(trains: bool) -> None:
    model, ids = tiny("llama").bfloat16().requires_grad_(trains), torch.randint(5, 50, (1, 7))
    plain, packed = logits(model, ids), PackedLinears(model)
    first, second = packed.in_use(), packed.in_use()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.equal(logits(model, ids), plain)
    second.__exit__(None, None, None)
    assert not any("forward" in vars(m) for m in model.modules())


def test_other_types_are_left_alone() -> None:
    model = tiny("llama")
    with PackedLinears(model).in_use():
        assert not any("forward" in vars(m) for m in model.modules())

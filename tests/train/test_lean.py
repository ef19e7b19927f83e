"""A lean pass keeps little for its backward pass, and makes no product twice."""

import random
from collections import Counter
from typing import Any

import pytest
import torch
from tests.train.families import ragged, tiny
from torch.utils._python_dispatch import TorchDispatchMode

from looptool.train.lean import lean
from looptool.train.logprobs import packed_logps
from looptool.train.packing import pack


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def kept_bytes(model: torch.nn.Module, ids: torch.Tensor) -> int:
    """What autograd holds of a plain forward pass, parameters apart."""
    held: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        out = model(ids, use_cache=False).logits
    assert out.requires_grad  # the graph, and all that it holds, is alive until here
    return sum(held.values())


def test_less_is_kept_and_the_model_is_as_it_was() -> None:
    model, ids = tiny("llama"), torch.randint(5, 50, (1, 64))
    plain = kept_bytes(model, ids)
    with lean(model):
        less = kept_bytes(model, ids)
    assert less < 0.75 * plain
    assert kept_bytes(model, ids) == plain
    assert not any("forward" in vars(module) for module in model.modules())


def test_the_backward_pass_makes_gates_again_and_no_product_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from looptool.train import logprobs

    model, packed = tiny("llama"), pack([ragged(4, random.Random(5))])
    counts = []
    for within in (lean, lambda _: torch.enable_grad()):
        monkeypatch.setattr(logprobs, "lean", within)
        with Counted() as counted:
            packed_logps(model, packed)[0].sum().backward()  # type: ignore[no-untyped-call]
        counts.append(counted.ops)
    again, kept = counts
    assert kept["silu"] == 3 and again["silu"] == 6
    assert again["mm"] == kept["mm"] > 0 and again["bmm"] == kept["bmm"]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2"])
def test_outputs_and_gradients_are_what_they_were(family: str) -> None:
    model, ids = tiny(family), torch.randint(5, 50, (1, 20))

    def both() -> tuple[torch.Tensor, list[torch.Tensor]]:
        logits = model(ids, use_cache=False).logits
        return logits, list(torch.autograd.grad(logits.square().sum(), list(model.parameters())))

    logits, gradients = both()
    with lean(model):
        lean_logits, lean_gradients = both()
    assert torch.equal(logits, lean_logits)
    for ours, theirs in zip(lean_gradients, gradients, strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def test_a_norm_of_another_kind_is_left_alone() -> None:
    model = tiny("gemma")
    with lean(model):
        norms = [m for m in model.modules() if type(m).__name__ == "GemmaRMSNorm"]
        assert norms and not any("forward" in vars(norm) for norm in norms)

import copy
from functools import partial

import torch

from looptool.train.optimizer import MasterAdamW


def net(dtype: torch.dtype) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).to(
        dtype
    )


def steps(model: torch.nn.Module, optimizer: MasterAdamW, first: int, last: int) -> None:
    for step in range(first, last):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(step))
        for part in torch.split(x, 2):
            model(part.to(next(model.parameters()).dtype)).float().square().mean().backward()
        optimizer.step()


def test_it_is_adamw_with_clipping() -> None:
    ours, theirs = net(torch.float32), net(torch.float32)
    steps(ours, MasterAdamW(ours, lr=0.01, max_grad_norm=0.5), 0, 3)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0)
    for step in range(3):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(step))
        for part in torch.split(x, 2):
            theirs(part).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        plain.step()
        plain.zero_grad()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_steps_below_the_spacing_of_bf16_add_up_in_the_masters() -> None:
    model = net(torch.bfloat16)
    before = copy.deepcopy(model)
    optimizer = MasterAdamW(model, lr=1e-5, max_grad_norm=1.0, compute=torch.bfloat16)
    steps(model, optimizer, 0, 1)
    first = [master.detach().clone() for master in optimizer.masters]
    steps(model, optimizer, 1, 200)
    for master, was, copied, old in zip(
        optimizer.masters, first, model.parameters(), before.parameters(), strict=True
    ):
        assert master.dtype == torch.float32 and not torch.equal(master, was)
        assert torch.equal(copied, master.to(torch.bfloat16))
        assert copied.grad is None and master.grad is None
        assert not torch.equal(copied, old)


def test_masters_are_the_values_as_given_and_not_their_rounded_copies() -> None:
    model = net(torch.float32)
    given = [p.detach().clone() for p in model.parameters()]
    optimizer = MasterAdamW(model, lr=0.0, max_grad_norm=1.0, compute=torch.bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(optimizer.masters, given, strict=True))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_without_gradients_nothing_moves() -> None:
    model = net(torch.float32)
    optimizer = MasterAdamW(model, lr=0.1, max_grad_norm=1.0)
    steps(model, optimizer, 0, 2)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_restored_optimizer_goes_on_bit_for_bit() -> None:
    through = net(torch.bfloat16)
    made = partial(MasterAdamW, lr=0.01, max_grad_norm=1.0, compute=torch.bfloat16)
    steps(through, made(through), 0, 6)
    first = net(torch.bfloat16)
    optimizer = made(first)
    steps(first, optimizer, 0, 3)
    kept = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    second = net(torch.bfloat16)
    restored = made(second)
    restored.load_tensors(kept)
    steps(second, restored, 3, 6)
    for a, b in zip(through.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)

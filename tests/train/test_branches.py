"""Merged attention is attention: the same output and gradients as over a copy of the prefix."""

from collections.abc import Iterator

import pytest
import torch

from looptool.train.branches import branch_attention, can_merge
from looptool.train.packing import Group, alike, pack
from looptool.train.shared_prefix import branch_mask, copied_attention

HEADS, KEYS, SIZE, PREFIX = 6, 3, 16, 37


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("lengths", [[1, 1], [5, 1, 9], [8] * 16, [4, 150, 90, 5]])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_output_and_gradients(lengths: list[int], spread: float) -> None:
    torch.manual_seed(0)
    group = Group.of_completions([1] * PREFIX, [[1] * n for n in lengths])
    span = pack([group]).spans[0]
    shapes = [(HEADS, sum(lengths))] + [(KEYS, PREFIX)] * 2 + [(KEYS, sum(lengths))] * 2
    given = [torch.randn(1, *shape, SIZE, dtype=torch.float32) for shape in shapes]
    given[0] *= spread  # far-apart scores: one part outweighs the other
    query, *rest = (x.requires_grad_() for x in given)
    assert can_merge(query)
    mask = branch_mask(span, None, query.device)
    merged = branch_attention(query, (rest[0], rest[1]), (rest[2], rest[3]), span, 0.3)
    copied = copied_attention(query, (rest[0], rest[1]), (rest[2], rest[3]), span, mask, 0.3, None)
    torch.testing.assert_close(merged, copied, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(copied)
    for ours, theirs in zip(
        torch.autograd.grad(merged, given, weights),
        torch.autograd.grad(copied, given, weights),
        strict=True,
    ):
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()


def test_branches_of_about_one_length_are_padded_together() -> None:
    assert alike([64] * 8) == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert sorted(alike([400, 30, 398, 25, 40])) == [[0, 2], [1, 3, 4]]


@pytest.mark.parametrize("lengths", [[7], [1, 2, 3], [700, 20, 650, 90, 120, 15, 300]])
def test_every_branch_stands_in_one_block(lengths: list[int]) -> None:
    span = pack([Group.of_completions([1], [[1] * n for n in lengths])]).spans[0]
    assert sorted(at for block in alike(lengths) for at in block) == [*range(len(lengths))]
    tokens = torch.cat([block.tokens_N for block in span.blocks])
    assert tokens.sort().values.tolist() == [*range(sum(lengths))]

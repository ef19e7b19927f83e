"""Attention by blocks is attention: the output and gradients of one sequence at a time."""

import pytest
import torch
from torch.nn import functional as F

from looptool.models.blocks import ROWS, Block, sequence, tree
from looptool.models.blockwise import attention

HEADS, KEYS, SIZE, PREFIX = 6, 3, 16, 37


Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def given(length: int, spread: float = 1.0) -> Inputs:
    """Queries (H, T, D), keys and values (K, T, D)."""
    torch.manual_seed(0)
    query = torch.randn(HEADS, length, SIZE) * spread
    key, value = torch.randn(2, KEYS, length, SIZE)
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


def apart(inputs: Inputs, prefix: int, branches: list[int]) -> torch.Tensor:
    """(H, T, D) by PyTorch's attention, each branch behind its own copy of the prefix."""
    parts, at = [], prefix
    for number, length in enumerate(branches):
        q, k, v = (torch.cat([x[:, :prefix], x[:, at : at + length]], 1)[None] for x in inputs)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3, enable_gqa=True)[0]
        parts.append(out if number == 0 else out[:, prefix:])
        at += length
    return torch.cat(parts, 1)


@pytest.mark.parametrize(
    "branches", [[9], [1, 1], [5, 1, 9], [8] * 16, [4, 250, 90, 5], [ROWS, ROWS + 1, 1]]
)
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_output_and_gradients(branches: list[int], spread: float) -> None:
    inputs = given(PREFIX + sum(branches), spread)
    ours = attention(*inputs, tree(0, PREFIX, branches), 0.3)
    theirs = apart(inputs, PREFIX, branches)
    torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)
    weights = torch.randn_like(theirs)
    for mine, wanted in zip(
        torch.autograd.grad(ours, inputs, weights),
        torch.autograd.grad(theirs, inputs, weights),
        strict=True,
    ):
        assert (mine - wanted).norm() < 1e-4 * wanted.norm()


@pytest.mark.parametrize(("length", "new"), [(5, 1), (300, 299), (300, 100), (2 * ROWS, ROWS)])
def test_the_last_queries_of_a_sequence_read_what_they_do_among_all(length: int, new: int) -> None:
    query, key, value = given(length)
    whole = attention(query, key, value, sequence(0, length), 0.3)
    blocks = sequence(0, length, first=length - new)
    part = attention(query[:, length - new :], key, value, blocks, 0.3)
    torch.testing.assert_close(part, whole[:, length - new :], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("branches", [[7], [1, 2, 3], [700, 20, 650, 90, 120, 15, 300], [ROWS] * 3])
def test_every_token_stands_in_one_block_of_bounded_size(branches: list[int]) -> None:
    blocks = tree(11, PREFIX, branches)
    rows = [at for block in blocks for at in range(block.first, block.end)]
    assert rows == [*range(11, 11 + PREFIX + sum(branches))]
    assert all(sum(block.lengths) == block.end - block.first <= ROWS for block in blocks)


def test_short_branches_share_a_block_and_see_the_prefix_and_themselves() -> None:
    assert tree(0, 5, [3, 2, ROWS]) == [
        Block(0, 5, (0, 0), 0, (5,)),
        Block(5, 10, (0, 5), 5, (3, 2)),
        Block(10, 10 + ROWS, (0, 5), 10, (ROWS,)),
    ]

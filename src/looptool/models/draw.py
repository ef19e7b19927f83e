"""The next token from its logits, and its log-prob at temperature 1."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_BLOCK = 256
"""A token's block of the vocabulary is found first, then its place within: two short cumulative
sums or searches instead of one over all of it."""


def greedy(logits_RV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest token of each row and its log-prob: (R,), (R,)."""
    blocks = _blocks(logits_RV, -torch.inf)
    block_R1 = blocks.amax(-1).argmax(-1, keepdim=True)
    ids_R1 = block_R1 * _BLOCK + _of(blocks, block_R1)[:, 0].argmax(-1, keepdim=True)
    # PyTorch's softmax is one pass; a maximum, a difference and an exponential are three.
    return ids_R1[:, 0], logits_RV.softmax(-1).gather(-1, ids_R1)[:, 0].log_()


def sample(
    logits_RV: torch.Tensor, temperature: float, num: int, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """`num` independent draws from each row at `temperature`, and their log-probs: (R, num) both.

    Inverse transform sampling: one uniform number a draw, not one a token.
    """
    tempered = logits_RV if temperature == 1 else logits_RV / temperature
    weights_RV = tempered.softmax(-1)
    ids = _draw(weights_RV, num, random)
    if temperature == 1:
        return ids, weights_RV.gather(-1, ids).log_()
    return ids, logits_RV.gather(-1, ids) - logits_RV.logsumexp(-1, keepdim=True)


def _draw(weights_RV: torch.Tensor, num: int, random: torch.Generator) -> torch.Tensor:
    """(R, num) indices, each with a chance in proportion to its weight."""
    rows = len(weights_RV)
    blocks = _blocks(weights_RV, 0.0)
    ends = blocks.sum(-1).cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(rows, num, generator=random, device=ends.device, dtype=torch.float64)
    at = uniform * ends[:, -1:]
    block = torch.searchsorted(ends, at, right=True).clamp_(max=ends.shape[1] - 1)
    begins = F.pad(ends, (1, 0))
    within = _of(blocks, block).cumsum(-1, dtype=torch.float64)
    left = (at - begins.gather(1, block))[..., None]
    # Rounding may leave more than the block holds: the draw is then its last token of any weight.
    left = left.minimum(within[..., -1:] * (1 - 1e-9))
    return block * _BLOCK + torch.searchsorted(within, left, right=True)[..., 0]


def _blocks(values_RV: torch.Tensor, filler: float) -> torch.Tensor:
    """(R, V) in blocks: (R, V / 256 rounded up, 256), the last one filled up."""
    rows, size = values_RV.shape
    if size % _BLOCK:
        values_RV = F.pad(values_RV, (0, -size % _BLOCK), value=filler)
    return values_RV.view(rows, -1, _BLOCK)


def _of(blocks: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """(R, N, 256): the blocks `which` (R, N) of each row."""
    return blocks.gather(1, which[..., None].expand(-1, -1, _BLOCK))

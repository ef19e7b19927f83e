"""The next token from its logits, and its log-prob at temperature 1."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_BLOCK = 256
"""A draw finds its block of the vocabulary first, then its place within: two short cumulative sums
instead of one over all of it."""


def greedy(logits_RV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The likeliest token of each row and its log-prob: (R,), (R,)."""
    top_R1, ids_R1 = logits_RV.max(-1, keepdim=True)
    # The log-prob of the maximum is minus the log of this sum: no second look at the maximum.
    return ids_R1[:, 0], -(logits_RV - top_R1).exp_().sum(-1).log_()


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
    rows, size = weights_RV.shape
    padded = F.pad(weights_RV, (0, -size % _BLOCK)) if size % _BLOCK else weights_RV
    blocks = padded.view(rows, -1, _BLOCK)
    ends = blocks.sum(-1).cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(rows, num, generator=random, device=ends.device, dtype=torch.float64)
    at = uniform * ends[:, -1:]
    block = torch.searchsorted(ends, at, right=True).clamp_(max=ends.shape[1] - 1)
    begins = F.pad(ends, (1, 0))
    within = blocks.gather(1, block[..., None].expand(-1, -1, _BLOCK)).cumsum(
        -1, dtype=torch.float64
    )
    left = (at - begins.gather(1, block))[..., None]
    # Rounding may leave more than the block holds: the draw is then its last token of any weight.
    left = left.minimum(within[..., -1:] * (1 - 1e-9))
    return block * _BLOCK + torch.searchsorted(within, left, right=True)[..., 0]

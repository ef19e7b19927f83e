"""Drawn tokens follow the tempered distribution; log-probs are those at temperature 1."""

import pytest
import torch

from looptool.models.draw import greedy, sample


@pytest.mark.parametrize("size", [40, 256, 700])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_draws(size: int, temperature: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, size) * 3
    logits[0, size // 2 :] = -torch.inf  # impossible tokens are never drawn
    random = torch.Generator().manual_seed(1)
    ids, logps = sample(logits, temperature, 20_000, random)
    torch.testing.assert_close(logps, logits.log_softmax(-1).gather(1, ids), atol=1e-5, rtol=1e-5)
    expected = (logits / temperature).softmax(-1)
    for row in range(2):
        counts = torch.bincount(ids[row], minlength=size) / ids.shape[1]
        assert (counts - expected[row]).abs().max() < 0.02
        assert not counts[expected[row] == 0].any()


def test_a_certain_token_is_always_drawn() -> None:
    logits = torch.full((3, 600), -torch.inf)
    logits[0, 0] = logits[1, 255] = logits[2, 599] = 0.0
    ids, logps = sample(logits, 1.0, 1000, torch.Generator().manual_seed(0))
    assert (ids == torch.tensor([[0], [255], [599]])).all() and not logps.any()


@pytest.mark.parametrize("size", [40, 256, 700])
def test_greedy_takes_the_likeliest(size: int) -> None:
    # All of them below zero: what fills up the last block must not win.
    logits = torch.randn(50, size, generator=torch.Generator().manual_seed(0)) - 20
    logits[0, 1:] = -torch.inf
    ids, logps = greedy(logits)
    assert torch.equal(ids, logits.argmax(-1))
    torch.testing.assert_close(logps, logits.log_softmax(-1).max(-1).values)

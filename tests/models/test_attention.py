"""The room for prompts' keys follows the longest of them, and keeps what they hold."""

import torch

from looptool.models.attention import GroupKeys

HEADS, SIZE, LAYERS = 2, 4, 3
Layers = list[tuple[torch.Tensor, torch.Tensor]]


def prefilled(length: int, seed: int) -> Layers:
    torch.manual_seed(seed)
    shape = (HEADS, length, SIZE)
    return [(torch.randn(shape), torch.randn(shape)) for _ in range(LAYERS)]


def test_room_shrinks_and_grows_with_the_longest_prompt_and_loses_nothing() -> None:
    keys = GroupKeys(2, 1, torch.device("cpu"))
    stays = prefilled(20, 1)
    keys.admit(0, prefilled(300, 0))
    keys.admit(1, stays)
    for length in (300, 40, 250, 130, 21):
        new = prefilled(length, length)
        keys.admit(0, new)
        for (key, value), theirs, ours in zip(keys.prompt, stays, new, strict=True):
            assert key.is_contiguous() and value.is_contiguous()
            assert length <= key.shape[2] == value.shape[2] <= length + keys.SLACK
            for held, wanted in zip((key[1], value[1]), theirs, strict=True):
                torch.testing.assert_close(held[:, :20], wanted, atol=0, rtol=0)
            for held, wanted in zip((key[0], value[0]), ours, strict=True):
                torch.testing.assert_close(held[:, :length], wanted, atol=0, rtol=0)


def test_room_shrinks_when_the_longest_prompt_is_done() -> None:
    keys = GroupKeys(2, 1, torch.device("cpu"))
    stays = prefilled(20, 1)
    keys.admit(0, prefilled(300, 0))
    keys.admit(1, stays)
    keys.keep(torch.tensor([1]), torch.tensor([[0]]))
    key, _ = keys.prompt[0]
    assert key.shape[2] <= 20 + keys.SLACK
    torch.testing.assert_close(key[0, :, :20], stays[0][0], atol=0, rtol=0)

"""Attention for decoding many rows that share prompts, under transformers' own layers.

Registered as an attention implementation: a model's layers run unchanged, and hand their queries,
keys and values to the `Keys` object of the forward pass. A prompt's keys are kept once a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from looptool.models.blocks import sequence
from looptool.models.blockwise import attention
from looptool.models.standard import attending

NAME = "looptool_decode"


class Keys(Protocol):
    """What one forward pass attends to; it also takes in the pass's own keys and values."""

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        """(B, H, T, D) with keys and values (B, K, T, D) -> (B, T, H, D)."""
        ...


def decoding(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Within it, `model(..., keys=Keys)` attends through `keys`."""
    return attending(model, NAME)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    keys: Keys | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer."""
    assert keys is not None, "the decoding attention needs its keys"
    if kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError("attention sinks and biases cannot be decoded here")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: int = module.layer_idx  # type: ignore[assignment]
    return keys.attend(layer, query, key, value, scale, sliding_window, softcap), None


class PrefillKeys:
    """Keys of one prompt, behind those of a prefix that was computed before.

    `layers` holds per layer the keys and values (K, P, D) of the whole prompt.
    """

    def __init__(self, before: list[tuple[torch.Tensor, torch.Tensor]], num_before: int) -> None:
        self.num_before = num_before
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._before = before

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        if self.num_before:
            old_key, old_value = self._before[layer]
            key = torch.cat([old_key[None, :, : self.num_before], key], dim=2)
            value = torch.cat([old_value[None, :, : self.num_before], value], dim=2)
        self.layers.append((key[0], value[0]))
        length, new = key.shape[2], query.shape[2]
        if softcap is None and (window is None or window >= length):
            if key.device.type == "cpu":
                blocks = sequence(0, length, first=length - new)
                out = attention(query[0], key[0], value[0], blocks, scale)
                return out.transpose(0, 1)[None]
            if new == length:
                out = F.scaled_dot_product_attention(
                    query, key, value, is_causal=True, scale=scale, enable_gqa=True
                )
                return out.transpose(1, 2)
        at = torch.arange(length, device=key.device)
        distance = at[length - new :, None] - at[None, :]
        seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
        if softcap is None:
            out = F.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, scale=scale, enable_gqa=True
            )
            return out.transpose(1, 2)
        repeats = query.shape[1] // key.shape[1]
        scores = query @ key.repeat_interleave(repeats, 1).transpose(2, 3) * scale
        weights = _softmax(scores, torch.where(seen, 0.0, -torch.inf), softcap)
        return (weights @ value.repeat_interleave(repeats, 1)).transpose(1, 2)


class GroupKeys:
    """Keys of S slots of G rows: a prompt's (S, K, P, D) once a slot, each row's own beside them.

    Rows are of any age; `lengths_SG` counts the tokens that each has of its own. A step takes in
    N tokens, some of each row (at most T) or none, row by row; `end_step` keeps the first few of
    each. Only the attention is made of rows: other layers see (1, N).
    """

    GROWTH = 32
    """Room for own tokens grows by so many at a time, so that few tensor shapes occur."""

    SLACK = 64
    """By how much the prompts' room may be wider than the longest of them. It is used as a whole:
    products with a part of it take up to eight times as long (bf16 on a CPU)."""

    def __init__(self, num_slots: int, group: int, device: torch.device) -> None:
        self.prompt: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.own: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.prompt_lengths_S = torch.ones(num_slots, dtype=torch.long, device=device)
        self.lengths_SG = torch.zeros(num_slots, group, dtype=torch.long, device=device)
        self._shape = (num_slots, group)
        self._width = 0
        self._masks: dict[int | None, torch.Tensor] = {}

    @property
    def positions_1N(self) -> torch.Tensor:
        """Where in its sequence each token of the step stands."""
        first_SG = self.prompt_lengths_S[:, None] + self.lengths_SG
        return (first_SG.reshape(-1)[self._row_N] + self._offset_N)[None]

    def admit(self, slot: int, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Put a prefilled prompt into a slot; its rows start anew."""
        slots, group = self._shape
        if not self.prompt:
            for key, _ in layers:
                heads, _, size = key.shape
                self.prompt.append(_two(key, slots, heads, 0, size))
                self.own.append(_two(key, slots * group, heads, self.GROWTH, size))
        length = layers[0][0].shape[1]
        self.prompt_lengths_S[slot] = length
        self.lengths_SG[slot] = 0
        self._fit()
        for (keys, values), (key, value) in zip(self.prompt, layers, strict=True):
            keys[slot, :, :length], values[slot, :, :length] = key, value

    def _fit(self) -> None:
        """Make the prompts' room as wide as the longest of them, within the slack."""
        longest = int(self.prompt_lengths_S.max())
        if longest <= self._width <= longest + self.SLACK:
            return
        self._width = -(-longest // self.GROWTH) * self.GROWTH
        for layer, both in enumerate(self.prompt):
            key, value = (_resized(x, self._width) for x in both)
            self.prompt[layer] = key, value

    def keep(self, slots: torch.Tensor, rows_SG: torch.Tensor) -> None:
        """Go on with `slots` (S',) and in each of them with the rows `rows_SG` (S', G')."""
        flat = (slots[:, None] * self._shape[1] + rows_SG).reshape(-1)
        whole = len(slots) == self._shape[0]
        for layer, (keys, values) in enumerate(self.prompt):
            if not whole:
                self.prompt[layer] = (keys[slots], values[slots])
            own_keys, own_values = self.own[layer]
            self.own[layer] = (own_keys[flat], own_values[flat])
        self.prompt_lengths_S = self.prompt_lengths_S[slots]
        self.lengths_SG = self.lengths_SG.reshape(-1)[flat].view(rows_SG.shape)
        self._shape = (len(slots), rows_SG.shape[1])
        self._fit()

    def begin_step(self, counts: Sequence[int]) -> None:
        """Make room for so many more tokens in each row, and forget the step before."""
        device = self.lengths_SG.device
        self._num_tokens = max(counts)
        short = int(self.lengths_SG.max()) + self._num_tokens - self.own[0][0].shape[2]
        if short > 0:
            more = -(-short // self.GROWTH) * self.GROWTH
            self.own = [(F.pad(k, (0, 0, 0, more)), F.pad(v, (0, 0, 0, more))) for k, v in self.own]
        counts_R = torch.tensor(counts)
        ends_R = counts_R.cumsum(0)
        row_N = torch.arange(len(counts)).repeat_interleave(counts_R)
        offset_N = torch.arange(int(ends_R[-1])) - (ends_R - counts_R)[row_N]
        offsets_T = torch.arange(self._num_tokens)
        # What fills the gaps of shorter rows is any token, and never read again.
        padded_RT = ((ends_R - counts_R)[:, None] + offsets_T).clamp_(max=int(ends_R[-1]) - 1)
        self._row_N, self._offset_N = row_N.to(device), offset_N.to(device)
        self._flat_N = (row_N * self._num_tokens + offset_N).to(device)
        self._padded = padded_RT.reshape(-1).to(device)
        self._at_N = self.lengths_SG.reshape(-1)[self._row_N] + self._offset_N
        self._at_RT = self.lengths_SG.reshape(-1, 1) + offsets_T.to(device)
        self._masks = {}

    def end_step(self, kept: Sequence[int]) -> None:
        """Count the tokens that every row keeps of those taken in."""
        kept_R = torch.tensor(kept, device=self.lengths_SG.device)
        self.lengths_SG = self.lengths_SG + kept_R.view(self.lengths_SG.shape)

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> torch.Tensor:
        slots, group = self._shape
        own_key, own_value = self.own[layer]
        own_key[self._row_N, :, self._at_N] = key[0].transpose(0, 1)
        own_value[self._row_N, :, self._at_N] = value[0].transpose(0, 1)
        prompt_key, prompt_value = self.prompt[layer]
        heads, size, num_tokens = key.shape[1], key.shape[3], self._num_tokens
        repeats = query.shape[1] // heads
        width = prompt_key.shape[2]
        # To its prompt a slot looks with the tokens of all its rows at once, A of them; to its own
        # tokens each row looks alone.
        asking = group * num_tokens

        def by_slot(rows: torch.Tensor) -> torch.Tensor:
            """(R, K, T·N, X) -> (S, K, A, N, X), N query heads a key head."""
            parts = rows.reshape(slots, group, heads, num_tokens, repeats, -1)
            return parts.transpose(1, 2).reshape(slots, heads, asking, repeats, -1)

        def by_row(parts: torch.Tensor) -> torch.Tensor:
            """The way back."""
            rows = parts.reshape(slots, heads, group, num_tokens * repeats, -1).transpose(1, 2)
            return rows.reshape(slots * group, heads, num_tokens * repeats, -1)

        q = (query[0] * scale).transpose(0, 1)[self._padded]
        q = q.view(-1, num_tokens, heads, repeats, size).transpose(1, 2)
        q = q.reshape(-1, heads, num_tokens * repeats, size)
        grouped = by_slot(q).reshape(slots, heads, asking * repeats, size)
        to_prompt = (grouped @ prompt_key.transpose(2, 3)).view(
            slots, heads, asking, repeats, width
        )
        to_own = by_slot(q @ own_key.transpose(2, 3))
        scores = torch.cat([to_prompt, to_own], dim=-1)
        weights = _softmax(scores, self._mask(window, scores.dtype), softcap)
        on_prompt, on_own = weights[..., :width], weights[..., width:]
        from_prompt = on_prompt.reshape(slots, heads, asking * repeats, width) @ prompt_value
        out = by_row(from_prompt) + by_row(on_own) @ own_value
        out = out.reshape(-1, heads, num_tokens, repeats, size).transpose(1, 2)
        return out.reshape(-1, heads * repeats, size)[self._flat_N][None]

    def _mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """(S, 1, A, 1, P + C), 0 where a token may look and -inf where not; made once a step."""
        if window not in self._masks:
            device = self.lengths_SG.device
            width, own_width = self._width, self.own[0][0].shape[2]
            prompt_at = torch.arange(width, device=device)
            own_at = torch.arange(own_width, device=device)
            slots, asking = self._shape[0], self._shape[1] * self._num_tokens
            lengths = self.prompt_lengths_S[:, None, None]
            prompt_seen = (prompt_at < lengths).expand(-1, asking, -1)
            here = self._at_RT.view(slots, asking, 1)
            own_seen = own_at <= here
            if window is not None:
                prompt_seen = prompt_seen & (lengths + here - prompt_at < window)
                own_seen = own_seen & (here - own_at < window)
            seen = torch.cat([prompt_seen, own_seen], dim=-1)[:, None, :, None]
            mask = torch.zeros(seen.shape, dtype=dtype, device=device)
            self._masks[window] = mask.masked_fill_(~seen, -torch.inf)
        return self._masks[window]


def _softmax(scores: torch.Tensor, mask: torch.Tensor, softcap: float | None) -> torch.Tensor:
    """In place, but for a soft cap."""
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.add_(mask)
    return torch.softmax(scores, -1, out=scores)  # PyTorch sums bf16 in fp32


def _resized(keys: torch.Tensor, width: int) -> torch.Tensor:
    """(S, K, P, D) -> (S, K, width, D), contiguous; what is beyond the width is dropped."""
    slots, heads, before, size = keys.shape
    resized = keys.new_zeros(slots, heads, width, size)
    kept = min(before, width)
    resized[:, :, :kept] = keys[:, :, :kept]
    return resized


def _two(like: torch.Tensor, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    return like.new_zeros(shape), like.new_zeros(shape)


AttentionInterface.register(NAME, attend)


def bytes_per_token(model: PreTrainedModel) -> int:
    """Size of one token's keys and values in all layers."""
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.dtype.itemsize)

"""How the policy generates: every prompt is prefilled once, all rows decode as one batch.

Prompts that begin alike (the same tools) share their beginning in the prefill. The rows of a group
share their prompt's keys. Whoever is finished leaves the batch, and the next prompt takes the
place. Log-probs of the chosen tokens come out of the same pass. A step reads a few drafted tokens
along and keeps those that the model would have chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from looptool.config import PolicyConfig
from looptool.models.drafts import Draft, Odds, Places, Prices, Text
from looptool.models.memory import keep_freed_memory
from looptool.records import Checkpoint

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from looptool.chat.base import ChatFormat
    from looptool.models.attention import GroupKeys
    from looptool.models.guide import Guide

logger = logging.getLogger(__name__)

Layers = list[tuple["torch.Tensor", "torch.Tensor"]]

WORTH_SHARING = 16
"""Beginnings shorter than this are computed again: finding them costs as much."""


STEP_PRICES = {
    "cpu": Prices(step=44.0, row=2.3, token=1.1, depth=0.3),
    "cuda": Prices(step=100.0, row=0.1, token=0.1, depth=0.05),
}
"""By which drafts are cut: milliseconds on a CPU (docs/performance.md); for a GPU what is to be
expected of a machine that computes much more than it reads."""

CACHE_BYTES = 6 << 30
"""What the prompts' keys and values may take at once; very long prompts wait for each other."""


@dataclass(frozen=True)
class Sampling:
    """Greedy at temperature 0. `seed` alone decides the draws."""

    max_new_tokens: int
    temperature: float = 0.0
    num_samples: int = 1
    seed: int = 0


@dataclass
class Completion:
    """One completion: its tokens, the stop token included, and their log-probs.

    `logps` are of the model's own distribution at temperature 1. `stopped` is False where it was
    cut at `max_new_tokens`.
    """

    prompt: int
    ids: list[int] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    stopped: bool = False


@dataclass
class _Row:
    """A completion in the making."""

    completion: Completion
    text: Text
    guide: Guide | None = None


Watch = Callable[[int, list[Completion]], bool]
"""Called between steps with a prompt's index and what it has so far, in every step that adds to it
and before its prefill. Where it says False the prompt is dropped: no more work, nothing yielded.
Others in the batch go on; what they draw may change, since a smaller batch draws other numbers."""


class Engine:
    """Generates with a transformers model that lives in this process."""

    def __init__(self, model: PreTrainedModel, format: ChatFormat, *, max_rows: int = 64) -> None:
        from looptool.models.packed import PackedLinears

        keep_freed_memory()
        self.model = model
        self.format = format
        self.max_rows = max_rows
        self._linears = PackedLinears(model)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        watch: Watch | None = None,
        guides: Sequence[Guide | None] | None = None,
    ) -> Iterator[list[Completion]]:
        """For each prompt, in any order and as they are finished, its `num_samples` completions.

        Greedy completions do not depend on what else is in the batch but for rounding. `watch` sees
        them grow. A prompt's guide, if it has one, says what may be said after it.
        """
        import torch

        from looptool.models.attention import decoding

        if not prompts:
            return
        grad = torch.no_grad() if any(p.requires_grad for p in self.model.parameters()) else None
        with grad or torch.inference_mode(), decoding(self.model), self._linears.in_use():
            yield from _Batch(self, prompts, sampling, watch, guides).run()

    def generate_all(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[list[Completion]]:
        """The completions of each prompt, in the order of the prompts."""
        done = {group[0].prompt: group for group in self.generate(prompts, sampling)}
        return [done[i] for i in range(len(prompts))]


class _Batch:
    """The state of one `generate`: waiting prompts, and slots in which groups of rows decode."""

    def __init__(
        self,
        engine: Engine,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        watch: Watch | None,
        guides: Sequence[Guide | None] | None,
    ) -> None:
        import torch

        from looptool.models.attention import GroupKeys, bytes_per_token

        self.model = engine.model
        self.stop_ids = engine.format.stop_ids
        self.prompts = prompts
        self.sampling = sampling
        self.watch = watch
        self.guides = guides or [None] * len(prompts)
        self.device = next(engine.model.parameters()).device
        self.waiting = in_order(prompts)[::-1]
        group = sampling.num_samples
        width = max(len(prompt) for prompt in prompts)
        room = CACHE_BYTES // (width * bytes_per_token(engine.model))
        slots = max(1, min(len(prompts), engine.max_rows // group, room))
        self.keys: GroupKeys = GroupKeys(slots, group, self.device)
        self.slots: list[list[Completion] | None] = [None] * slots
        self.rows: list[list[_Row | None]] = [[None] * group for _ in range(slots)]
        self.last: tuple[Sequence[int], Layers] = ((), [])
        self.random = torch.Generator(self.device).manual_seed(sampling.seed)
        self.said: Places = {}  # by all completions so far
        self.odds = Odds(STEP_PRICES.get(self.device.type, STEP_PRICES["cuda"]))

    def run(self) -> Iterator[list[Completion]]:
        while True:
            yield from self._admit()
            if all(slot is None for slot in self.slots):
                if not self.waiting:
                    return
                continue  # all that were admitted ended at their first token
            self._step()
            yield from self._finished()
            self._shrink()

    def _admit(self) -> Iterator[list[Completion]]:
        """Fill free slots with waiting prompts; their first tokens come out of the prefill."""
        for slot, taken in enumerate(self.slots):
            if taken is not None or (prompt := self._next_prompt()) is None:
                continue
            logits_1V = self._prefill(slot, self.prompts[prompt])
            group = [Completion(prompt) for _ in range(self.sampling.num_samples)]
            self.slots[slot] = group
            places: Places = {}
            read = Text.of_prompt(self.prompts[prompt], [places]).tokens
            guide = self.guides[prompt]
            rows = [
                _Row(each, Text(read, [places, self.said]), guide and guide.fork())
                for each in group
            ]
            self.rows[slot] = list(rows)
            ids_1G, logps_1G = self._choose(logits_1V, len(group))
            first = zip(rows, ids_1G.T.tolist(), logps_1G.T.tolist(), strict=True)
            held = [self._hold(row, ids, logps, logits_1V) for row, ids, logps in first]
            self._note(slot, *map(list, zip(*held, strict=True)))
        yield from self._finished()

    def _next_prompt(self) -> int | None:
        """The next prompt that waits and is still wanted."""
        while self.waiting:
            prompt = self.waiting.pop()
            if self.watch is None or self.watch(prompt, []):
                return prompt
        return None

    def _prefill(self, slot: int, prompt: Sequence[int]) -> torch.Tensor:
        """Compute what the prompt does not share with the one before; logits (1, V) of its end."""
        import torch

        from looptool.models.attention import PrefillKeys

        before, layers = self.last
        shared = _common(before, prompt[:-1])  # the last token's logits are always computed
        if shared < WORTH_SHARING:
            shared = 0
        keys = PrefillKeys(layers, shared)
        ids = torch.tensor([list(prompt[shared:])], device=self.device)
        at = torch.arange(shared, len(prompt), device=self.device)[None]
        # Chosen by an index the last hidden state is a row. A slice of it has strides with which
        # PyTorch makes the projection a batched product, over a transposed copy of all its weights.
        end = torch.tensor([len(prompt) - shared - 1], device=self.device)
        out = self.model(
            input_ids=ids, position_ids=at, use_cache=False, logits_to_keep=end, keys=keys
        )
        self.last = (prompt, keys.layers)
        self.keys.admit(slot, keys.layers)
        return out.logits[:, -1].float()  # type: ignore[no-any-return]

    def _step(self) -> None:
        """Decode one token in every row, and as many more as were drafted rightly."""
        import torch

        rows = [row for slot in self.rows for row in slot]
        found = [row.text.draft(self.odds.MOST) if row else Draft([], 0) for row in rows]
        drafts = self.odds.cut(found, sum(row is not None for row in rows))
        # A row that is finished waits for its group and takes no part.
        taken = [
            [row.text.tokens[-1], *draft] if row else []
            for row, draft in zip(rows, drafts, strict=True)
        ]
        self.keys.begin_step([len(tokens) for tokens in taken])
        out = self.model(
            input_ids=torch.tensor([[*chain.from_iterable(taken)]], device=self.device),
            position_ids=self.keys.positions_1N,
            use_cache=False,
            keys=self.keys,
        )
        logits_NV = out.logits[0].float()
        ids_N1, logps_N1 = self._choose(logits_NV, 1)
        ids, logps = ids_N1[:, 0].tolist(), logps_N1[:, 0].tolist()
        chosen: list[list[int]] = []
        scores: list[list[float]] = []
        start = 0
        for row, tokens in zip(rows, taken, strict=True):
            ours, theirs = ids[start : start + len(tokens)], logps[start : start + len(tokens)]
            # What stands behind a draft that was not chosen was computed after the wrong token.
            kept = 1 + _common(tokens[1:], ours) if ours else 0
            ours, theirs = self._hold(row, ours[:kept], theirs[:kept], logits_NV[start:])
            chosen.append(ours)
            scores.append(theirs)
            start += len(tokens)
        self.keys.end_step([len(ours) for ours in chosen])
        for draft, read, ours in zip(found, drafts, chosen, strict=True):
            self.odds.learn(draft.match, len(read), len(ours) - 1)
        group = len(self.rows[0])
        for slot in range(len(self.slots)):
            these = slice(slot * group, (slot + 1) * group)
            self._note(slot, chosen[these], scores[these])

    def _hold(
        self, row: _Row | None, ids: list[int], logps: list[float], logits_KV: torch.Tensor
    ) -> tuple[list[int], list[float]]:
        """The tokens as far as the row's guide allows them, and one that it does for the next.

        `logits_KV` are those that the tokens were chosen from.
        """
        import torch

        guide = row.guide if row else None
        if guide is None or (num := guide.admit(ids)) == len(ids):
            return ids, logps
        if num and ids[num - 1] in self.stop_ids:
            return ids[:num], logps[:num]
        logits_V = logits_KV[num]
        banned_V = ~guide.allowed(len(logits_V)).to(self.device)
        ids_11, _ = self._choose(logits_V.masked_fill(banned_V, -torch.inf)[None], 1)
        token = int(ids_11)
        guide.admit([token])
        return [*ids[:num], token], [*logps[:num], float(logits_V.log_softmax(-1)[token])]

    def _choose(self, logits_RV: torch.Tensor, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`num` next tokens for each row and their log-probs at temperature 1: (R, num) both."""
        from looptool.models.draw import greedy, sample

        if self.sampling.temperature:
            return sample(logits_RV, self.sampling.temperature, num, self.random)
        ids_R, logps_R = greedy(logits_RV)
        return ids_R[:, None].expand(-1, num), logps_R[:, None].expand(-1, num)

    def _note(self, slot: int, ids: list[list[int]], logps: list[list[float]]) -> None:
        """What the step added to each row, up to where the row ends."""
        rows = self.rows[slot]
        for at, row in enumerate(rows):
            if row is None:
                continue
            done = row.completion
            for token, logp in zip(ids[at], logps[at], strict=False):
                done.ids.append(token)
                done.logps.append(logp)
                row.text.add(token)
                done.stopped = token in self.stop_ids
                if done.stopped or len(done.ids) >= self.sampling.max_new_tokens:
                    rows[at] = None
                    break
        group = self.slots[slot]
        if self.watch and group is not None and not self.watch(group[0].prompt, group):
            self.slots[slot] = None
            self.rows[slot] = [None] * len(rows)

    def _finished(self) -> Iterator[list[Completion]]:
        for slot, group in enumerate(self.slots):
            if group is not None and not any(self.rows[slot]):
                self.slots[slot] = None
                yield group

    def _shrink(self) -> None:
        """Once nothing waits, drop finished rows and slots when that halves the batch."""
        if self.waiting:
            return
        import torch

        alive = [[i for i, row in enumerate(rows) if row is not None] for rows in self.rows]
        keep = [slot for slot, rows in enumerate(alive) if rows]
        widest = max((len(rows) for rows in alive), default=0)
        if not keep or len(keep) * widest * 4 > sum(map(len, self.rows)) * 3:
            return
        # A slot with fewer rows than the widest keeps some finished ones.
        rows = [(alive[slot] + [0] * widest)[:widest] for slot in keep]
        slots_S = torch.tensor(keep, device=self.device)
        self.keys.keep(slots_S, torch.tensor(rows, device=self.device))
        self.rows = [
            [self.rows[slot][row] for row in alive[slot]] + [None] * (widest - len(alive[slot]))
            for slot in keep
        ]
        self.slots = [self.slots[slot] for slot in keep]


def in_order(prompts: Sequence[Sequence[int]]) -> list[int]:
    """Indices of `prompts`, longest first, those that begin alike side by side.

    Two prompts begin alike when they share more than half of the shorter one.
    """
    by_content = sorted(range(len(prompts)), key=lambda i: tuple(prompts[i]))
    clusters: list[list[int]] = []
    for i in by_content:
        before = prompts[clusters[-1][-1]] if clusters else ()
        if before and 2 * _common(before, prompts[i]) > min(len(before), len(prompts[i])):
            clusters[-1].append(i)
        else:
            clusters.append([i])
    clusters.sort(key=lambda cluster: -max(len(prompts[i]) for i in cluster))
    return [i for cluster in clusters for i in cluster]


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning."""
    for at, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return at
    return min(len(first), len(second))


def engine_for(model: PreTrainedModel, format: ChatFormat, *, max_rows: int = 64) -> Engine:
    """The engine for a model; where its attention is not the standard one, the plain one."""
    from looptool.models.standard import why_not

    reason = why_not(model)
    if reason is None:
        return Engine(model, format, max_rows=max_rows)
    from looptool.models.plain import PlainEngine

    logger.warning("%s: generating the plain way, which is slower", reason)
    return PlainEngine(model, format, max_rows=max_rows)


def load_engine(config: PolicyConfig, checkpoint: Checkpoint, *, max_rows: int = 64) -> Engine:
    """The engine of a checkpoint, on the GPU if there is one."""
    from looptool.chat import load_format
    from looptool.models.load import load_model, load_tokenizer, to_device

    model = load_model(checkpoint, config.dtype)
    to_device(model)
    chat = load_format(config.format, load_tokenizer(checkpoint))
    return engine_for(model, chat, max_rows=max_rows)

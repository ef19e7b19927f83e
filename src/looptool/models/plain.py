"""The plain way to generate, for models whose attention is not transformers' standard one.

Left-padded batches through `model.generate`: every sample of a group pays for its own prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from looptool.models.engine import Completion, Engine, Sampling, Watch, in_order

if TYPE_CHECKING:
    import torch

    from looptool.models.guide import Guide


class PlainEngine(Engine):
    """The same answers as `Engine`, slower."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        watch: Watch | None = None,
        guides: Sequence[Guide | None] | None = None,
    ) -> Iterator[list[Completion]]:
        """As `Engine.generate`; `sampling.seed` and the batch decide the draws."""
        import torch

        at_once = max(1, self.max_rows // sampling.num_samples)
        order = in_order(prompts)
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            for start in range(0, len(order), at_once):
                indices = order[start : start + at_once]
                if watch:
                    indices = [i for i in indices if watch(i, [])]
                if indices:
                    held = [guides[i] for i in indices] if guides else []
                    yield from self._batch(prompts, indices, sampling, watch, held)

    def _batch(
        self,
        prompts: Sequence[Sequence[int]],
        indices: Sequence[int],
        sampling: Sampling,
        watch: Watch | None,
        guides: Sequence[Guide | None],
    ) -> Iterator[list[Completion]]:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        width = max(len(prompts[i]) for i in indices)
        stops = sorted(self.format.stop_ids)
        ids = [[stops[0]] * (width - len(prompts[i])) + list(prompts[i]) for i in indices]
        mask = [[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in indices]
        draws = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
        live = _Live(indices, sampling, self.format.stop_ids, watch) if watch else None
        held = _Held(guides, sampling.num_samples, self.format.stop_ids) if any(guides) else None
        hook = self.model.register_forward_hook(live.see_logits) if live else nullcontext()
        with hook, _bare(self.model):
            out = self.model.generate(  # type: ignore[operator]
                input_ids=torch.tensor(ids, device=self.model.device),
                attention_mask=torch.tensor(mask, device=self.model.device),
                num_return_sequences=sampling.num_samples,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=stops,
                pad_token_id=stops[0],
                return_dict_in_generate=True,
                output_logits=True,
                logits_processor=LogitsProcessorList([held] if held else []),
                stopping_criteria=StoppingCriteriaList([live]) if live else None,
                **(draws if sampling.temperature else {"do_sample": False}),
            )
        chosen_RC = out.sequences[:, width:]
        logps_RC = _logps(out.logits, chosen_RC)
        for at, prompt in enumerate(indices):
            if live and prompt in live.dropped:
                continue
            rows = range(at * sampling.num_samples, (at + 1) * sampling.num_samples)
            yield [self._completion(prompt, chosen_RC[row], logps_RC[row]) for row in rows]

    def _completion(self, prompt: int, ids_C: torch.Tensor, logps_C: torch.Tensor) -> Completion:
        ids: list[int] = ids_C.tolist()
        end = next((i + 1 for i, token in enumerate(ids) if token in self.format.stop_ids), None)
        return Completion(
            prompt=prompt,
            ids=ids[:end],
            logps=logps_C[:end].tolist(),
            stopped=end is not None,
        )


@contextmanager
def _bare(model: Any) -> Iterator[None]:
    """Within it, no penalty or cut-off that the model's own generation config asks for acts.

    `generate` fills what it is not given from there, and the probe's answers would not be greedy.
    """
    from transformers import GenerationConfig

    kept, model.generation_config = model.generation_config, GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.generation_config = kept


class _Live:
    """Shows a batch to `watch` as it grows: a stopping criterion, which is called at every step."""

    def __init__(
        self, indices: Sequence[int], sampling: Sampling, stop_ids: frozenset[int], watch: Watch
    ) -> None:
        self._groups = [[Completion(i) for _ in range(sampling.num_samples)] for i in indices]
        self._stop_ids = stop_ids
        self._watch = watch
        self._logits: torch.Tensor | None = None
        self.dropped: set[int] = set()

    def see_logits(self, model: Any, args: Any, out: Any) -> None:
        """Hook of the forward pass: a criterion is only shown scores that may be processed."""
        self._logits = out.logits[:, -1]

    def __call__(self, ids_RC: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Which rows (R,) are done because nobody wants them."""
        import torch

        assert self._logits is not None
        logps = _logps([self._logits], ids_RC[:, -1:])[:, 0].tolist()
        new = zip(ids_RC[:, -1].tolist(), logps, strict=True)
        done = []
        for group in self._groups:
            grown = False
            for completion, (token, logp) in zip(group, new, strict=False):
                if not completion.stopped:
                    completion.ids.append(token)
                    completion.logps.append(logp)
                    completion.stopped = token in self._stop_ids
                    grown = True
            prompt = group[0].prompt
            if grown and prompt not in self.dropped and not self._watch(prompt, group):
                self.dropped.add(prompt)
            done += [prompt in self.dropped] * len(group)
        return torch.tensor(done, device=ids_RC.device)


class _Held:
    """Holds the rows of a batch to their guides: a logits processor, called before every choice."""

    def __init__(
        self, guides: Sequence[Guide | None], num_samples: int, stop_ids: frozenset[int]
    ) -> None:
        self._rows = [guide and guide.fork() for guide in guides for _ in range(num_samples)]
        self._stop_ids = stop_ids
        self._begun = False

    def __call__(self, ids_RC: torch.Tensor, scores_RV: torch.Tensor) -> torch.Tensor:
        """The scores, minus infinity where a token is not allowed."""
        scores_RV = scores_RV.clone()  # log-probs are read from what came in
        for at, guide in enumerate(self._rows):
            if guide is None:
                continue
            if self._begun:
                token = int(ids_RC[at, -1])
                guide.admit([token])
                if token in self._stop_ids:
                    self._rows[at] = None
                    continue
            allowed_V = guide.allowed(scores_RV.shape[1]).to(scores_RV.device)
            scores_RV[at].masked_fill_(~allowed_V, -float("inf"))
        self._begun = True
        return scores_RV


def _logps(logits: Sequence[torch.Tensor], chosen_RC: torch.Tensor) -> torch.Tensor:
    """Log-probs (R, C) at temperature 1, step by step: all logits at once would be large."""
    import torch

    steps = []
    for step, logits_RV in enumerate(logits):
        scores = logits_RV.float()
        at_R1 = chosen_RC[:, step, None]
        steps.append(scores.gather(-1, at_R1)[:, 0] - scores.logsumexp(-1))
    return torch.stack(steps, dim=1)

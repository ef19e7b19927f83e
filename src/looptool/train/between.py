"""The policies on the line between the weights that a training began at and those it came to.

One of them is often better than both ends: what training moved back and forth cancels out, and what
it moved one way stays (Lookahead, arXiv 1907.08610; WiSE-FT, arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from looptool.chat import load_format
from looptool.config import PolicyConfig
from looptool.models.load import load_model, load_tokenizer, to_device
from looptool.models.standard import why_not
from looptool.records import Checkpoint, Sample
from looptool.train.halving import Search, halving
from looptool.train.supervised import groups_of, nats_a_move, packed_row, plain_row
from looptool.train.trainable import save_model, saved
from looptool.work import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Between:
    """The line from `start` to `end`, two checkpoints of one architecture."""

    def __init__(self, start: Checkpoint, end: Checkpoint) -> None:
        self.start, self.end = start, end

    def at(self, share: float) -> PreTrainedModel:
        """The model `share` of the way, in fp32: 0 is the start, 1 the end."""
        import torch

        model = load_model(self.end, "float32")
        if share < 1:
            begun = dict(load_model(self.start, "float32").named_parameters())
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.lerp_(begun[name], 1 - share)
        return model

    def save(self, share: float, folder: Path) -> Checkpoint:
        """The policy `share` of the way, under the name of the end; made once, kept beside it."""
        if saved(folder) is None:
            save_model(self.at(share), self.end, folder)
        return self.end.model_copy(update={"path": str(folder)})

    def search(
        self,
        policy: PolicyConfig,
        samples: Sequence[Sample],
        progress: Progress,
        shared_prefix: bool = True,
    ) -> Search:
        """All the way, half of it … for as long as the labels of `samples` get likelier.

        Nothing is tried where no sample fits the policy's limits.
        """
        groups = groups_of(load_format(policy.format, load_tokenizer(self.end)), samples, policy)
        num_samples = sum(len(group.branches) for group in groups)

        def nats(share: float) -> float:
            model = self._computing(share, policy)
            score = packed_row if shared_prefix and why_not(model) is None else plain_row
            with progress.task(f"validation labels at {share:g}", num_samples) as bar:
                return nats_a_move(model, groups, bar, score)

        return halving(nats) if groups else Search()

    def _computing(self, share: float, policy: PolicyConfig) -> PreTrainedModel:
        import torch

        from looptool.models.precision import choose_precision

        model = self.at(share)
        model.to(getattr(torch, choose_precision(policy.dtype).dtype))
        to_device(model)
        return model

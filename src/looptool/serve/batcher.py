"""One thread that generates; requests that wait together and sample alike share a batch.

A request that names a seed is generated alone: who else is in a batch would change its draws.
"""

from __future__ import annotations

import queue
import secrets
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from looptool.models.engine import Completion, Engine, Sampling

MAX_WAITING = 512
"""Requests beyond so many are refused: the server says that it is busy."""
GATHER_SECONDS = 0.01
"""How long the first of a batch waits for company."""


@dataclass(frozen=True, eq=False)
class _Job:
    prompt: list[int]
    sampling: Sampling
    seeded: bool
    done: Future[list[Completion]] = field(default_factory=Future)

    def fits(self, other: _Job) -> bool:
        return self is other or (
            self.sampling == other.sampling and not self.seeded and not other.seeded
        )


class Batcher:
    """Gives each prompt its completions as a future; `queue.Full` when too many wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._new: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)
        self._thread.start()

    def submit(
        self, prompt: list[int], sampling: Sampling, seeded: bool
    ) -> Future[list[Completion]]:
        """The completions to be; unless it is `seeded`, the seed is drawn here."""
        job = _Job(prompt, sampling, seeded and sampling.temperature > 0)
        self._new.put_nowait(job)
        return job.done

    def close(self) -> None:
        """End the thread after the batch it is at."""
        self._new.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        waiting: list[_Job] = []
        while True:
            if not waiting:
                job = self._new.get()
                if job is None:
                    return
                waiting.append(job)
            if not self._gather(waiting):
                return
            first = waiting[0]
            batch = [job for job in waiting if job.fits(first)]
            waiting = [job for job in waiting if not job.fits(first)]
            seed = first.sampling.seed if first.seeded else secrets.randbits(62)
            self._generate(batch, replace(first.sampling, seed=seed))

    def _gather(self, waiting: list[_Job]) -> bool:
        try:
            while True:
                job = self._new.get(timeout=GATHER_SECONDS)
                if job is None:
                    return False
                waiting.append(job)
        except queue.Empty:
            return True

    def _generate(self, batch: list[_Job], sampling: Sampling) -> None:
        batch = [job for job in batch if job.done.set_running_or_notify_cancel()]
        try:
            for group in self._engine.generate([job.prompt for job in batch], sampling):
                batch[group[0].prompt].done.set_result(group)
        except Exception as error:
            for job in batch:
                if not job.done.done():
                    job.done.set_exception(error)

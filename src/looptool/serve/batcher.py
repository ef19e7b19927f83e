"""One thread that generates; requests that wait together and sample alike share a batch.

A request that names a seed is generated alone: who else is in a batch would change its draws.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from looptool.models.engine import Completion, Engine, Sampling
from looptool.models.guide import Guide

MAX_WAITING = 512
"""Requests beyond so many are refused: the server says that it is busy."""
GATHER_SECONDS = 0.01
"""How long the first of a batch waits for company."""


class Failed(Exception):
    """Generating failed; the message says how."""


class Growth(NamedTuple):
    """New tokens of one of a prompt's completions; `stopped` if the last one is a stop token."""

    choice: int
    ids: list[int]
    logps: list[float]
    stopped: bool


class Ticket:
    """One prompt on its way. Whoever holds it hears what is generated, or leaves.

    Tokens come step by step if it is `live`, else when all are there: it costs the generating
    thread nothing then.
    """

    def __init__(
        self,
        prompt: list[int],
        sampling: Sampling,
        guide: Guide | None,
        seeded: bool,
        live: bool,
    ) -> None:
        self.prompt = prompt
        self.sampling = sampling
        self.guide = guide
        self.seeded = seeded
        self.live = live
        self.left = False
        self._told = [0] * sampling.num_samples
        self._news: queue.SimpleQueue[Growth | Exception | None] = queue.SimpleQueue()

    def growths(self, beat: float) -> Iterator[Growth | None]:
        """The tokens as they come, and None whenever there were none for `beat` seconds.

        Raises:
            Failed: the engine raised an error.
        """
        while True:
            try:
                news = self._news.get(timeout=beat)
            except queue.Empty:
                yield None
                continue
            if news is None:
                return
            if isinstance(news, Exception):
                raise Failed(f"{type(news).__name__}: {news}")
            yield news

    def leave(self) -> None:
        """Nobody listens any more: what is not generated yet need not be."""
        self.left = True

    def fits(self, other: Ticket) -> bool:
        """Whether the two may share a batch."""
        return self is other or (
            self.sampling == other.sampling and not self.seeded and not other.seeded
        )

    def tell(self, group: Sequence[Completion]) -> None:
        """Pass on what is new in the group."""
        for choice, done in enumerate(group):
            told, now = self._told[choice], len(done.ids)
            if told < now:
                self._told[choice] = now
                self._news.put(Growth(choice, done.ids[told:], done.logps[told:], done.stopped))

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes."""
        self._news.put(error)


class Batcher:
    """Gives each prompt a ticket; `queue.Full` when too many wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._new: queue.Queue[Ticket | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="generate", daemon=True)
        self._thread.start()

    def submit(
        self,
        prompt: list[int],
        sampling: Sampling,
        guide: Guide | None = None,
        *,
        seeded: bool,
        live: bool,
    ) -> Ticket:
        """Queues the prompt; unless it is `seeded`, the seed is drawn here."""
        ticket = Ticket(prompt, sampling, guide, seeded and sampling.temperature > 0, live)
        self._new.put_nowait(ticket)
        return ticket

    def close(self) -> None:
        """End the thread after the batch it is at."""
        self._new.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        waiting: list[Ticket] = []
        while True:
            if not waiting:
                ticket = self._new.get()
                if ticket is None:
                    return
                waiting.append(ticket)
            if not self._gather(waiting):
                return
            first = waiting[0]
            batch = [ticket for ticket in waiting if ticket.fits(first)]
            waiting = [ticket for ticket in waiting if not ticket.fits(first)]
            seed = first.sampling.seed if first.seeded else secrets.randbits(62)
            self._generate(batch, replace(first.sampling, seed=seed))

    def _gather(self, waiting: list[Ticket]) -> bool:
        try:
            while True:
                ticket = self._new.get(timeout=GATHER_SECONDS)
                if ticket is None:
                    return False
                waiting.append(ticket)
        except queue.Empty:
            return True

    def _generate(self, batch: list[Ticket], sampling: Sampling) -> None:
        batch = [ticket for ticket in batch if not ticket.left]

        def watch(prompt: int, group: list[Completion]) -> bool:
            if batch[prompt].live:
                batch[prompt].tell(group)
            return not batch[prompt].left

        try:
            prompts = [ticket.prompt for ticket in batch]
            guides = [ticket.guide for ticket in batch]
            for group in self._engine.generate(prompts, sampling, watch, guides):
                ticket = batch[group[0].prompt]
                ticket.tell(group)
                ticket.end()
        except Exception as error:
            for ticket in batch:
                ticket.end(error)

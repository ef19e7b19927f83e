"""The seed step: tools, dialogues over them, checks, held-out set, noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

from pydantic import Field

from looptool.config import SeedConfig
from looptool.errors import UserError
from looptool.jsonvalue import content_hash
from looptool.records import Record, Sample, Scenario, Seed
from looptool.seed.briefs import Quota, make_briefs
from looptool.seed.checks import Fault, fault_of
from looptool.seed.constraint_tree import cast
from looptool.seed.context_tree import leaves, spread
from looptool.seed.dialogues import samples_of, simulate
from looptool.seed.dice import stable
from looptool.seed.noise import spoil
from looptool.seed.tools import OWN, Written, read_tools, usable, write_tools
from looptool.seed.toolsets import Shelf
from looptool.teachers.base import DialogueBrief, Teacher
from looptool.work import Silent, Work

SETTLE_AFTER = 4
"""Batches after which single calls take the place of scenarios that are still owed,"""
HOPELESS = 4
"""and dialogues without one sample of their scenario after which they do."""
MAX_BARREN = 4
BARREN = 0.1
"""No more batches after so many in a row in which a smaller share of the dialogues gave a sample:
a weak teacher needs many, tools that are used up would need endless ones."""
NUM_OUTSIDE = 100


class Harvest(Record):
    """The sound samples of one dialogue, and why others of it were rejected."""

    samples: tuple[Sample, ...] = ()
    rejected: dict[str, int] = Field(default_factory=dict)


def make_seed(
    config: SeedConfig,
    seed: int,
    teacher: Teacher,
    work: Work,
    say: Callable[[str], object] | None = None,
) -> Seed:
    """Training and held-out samples at the configured shares, checked by rules and the teacher.

    The two sides use tools of different branches of the Context Tree; with `tools_file` both use
    your tools, and differ in their requests. No training sample repeats a held-out request. Of a
    scenario that the tools do not allow single calls take the place. Tools of yours that the
    teacher can write no request for are left out, and `say` gets a line that names them.
    Raises UserError if the tools cannot give the samples wanted, or are others than at the start.
    """
    if config.tools_file:
        own = read_tools(Path(config.tools_file))
        _check_unchanged(config.tools_file, own, work)
        own, left_out = usable(config.tools_file, own, teacher, say or Silent().say)
        train_tools = held_tools = own
        rejected: Counter[str] = Counter()
    else:
        train_tools, held_tools, rejected = write_tools(
            config, seed, teacher, work, teacher.concurrency
        )
        left_out = ""
    taken: set[str] = set()
    held_out = _gather(
        config, seed, teacher, work, held_tools, "held-out", taken, rejected, left_out
    )
    train = _gather(config, seed, teacher, work, train_tools, "train", taken, rejected, left_out)
    noisy, planted = spoil(train, config.label_noise, seed)
    return Seed(
        train=tuple(noisy),
        held_out=tuple(held_out),
        planted=tuple(planted),
        rejected={reason: n for reason, n in sorted(rejected.items()) if n},
    )


def _check_unchanged(file: str, tools: list[Written], work: Work) -> None:
    """A seed goes on after a crash with the tools that it was begun with, or not at all."""

    async def begun(now: str) -> str:
        return now

    now = content_hash([one.tool.as_function() for one in tools])
    first = work.map("seed-own-tools", [now], begun, key=lambda _: "hash", result=str)
    if first != [now]:
        raise UserError(
            f"{file}: its tools were changed after this run began; change them back, or start a "
            "new run with --run"
        )


def _gather(
    config: SeedConfig,
    seed: int,
    teacher: Teacher,
    work: Work,
    tools: list[Written],
    side: str,
    taken: set[str],
    rejected: Counter[str],
    left_out: str,
) -> list[Sample]:
    """Simulate batch after batch until the quota is met; `taken` are the requests so far."""
    total = config.samples if side == "train" else config.held_out_samples
    quota, shelf = Quota(total, config.shares), Shelf(tools, _outside(tools))
    samples: list[Sample] = []
    fresh: set[str] = set()

    async def harvest(brief: DialogueBrief) -> Harvest:
        return await harvest_of(brief, teacher)

    barren, tried = 0, Counter[Scenario]()
    for batch in count():
        if batch == SETTLE_AFTER:
            barren = 0
            hopeless = set(quota.wanted)
        else:
            given = {sample.scenario for sample in samples}
            hopeless = {s for s, n in tried.items() if n >= HOPELESS and s not in given}
        rejected[Fault.NO_SCENARIO] += quota.settle_for_singles(hopeless)
        briefs = make_briefs(config, quota, shelf, seed, side, batch) if tools else []
        if not briefs or barren == MAX_BARREN:
            break
        before = len(samples)
        tried.update(brief.needs[-1] for brief in briefs)
        for crop in work.map(
            f"seed-{side}-{batch}",
            briefs,
            harvest,
            key=lambda brief: brief.id,
            result=Harvest,
            concurrency=teacher.concurrency,
        ):
            rejected.update(crop.rejected)
            samples.extend(_new(crop.samples, quota, taken, fresh, rejected))
        barren = 0 if len(samples) - before > BARREN * len(briefs) else barren + 1
    if len(samples) < total:
        without = f"; no request can be written for {left_out}" if left_out else ""
        raise UserError(
            f"data: the tools gave {len(samples)} of {total} {side} samples; "
            f"ask for fewer, or give more tools{without}"
        )
    taken |= fresh
    return sorted(samples, key=lambda sample: (_toolset(seed, sample), stable(seed, sample.id)))


def _toolset(seed: int, sample: Sample) -> int:
    """Samples over one list of tools stay together: trained on together, they share its tokens,
    and what is cut off the end is over other lists.
    """
    return stable(seed, " ".join(tool.hash() for tool in sample.tools))


def _outside(tools: list[Written]) -> list[Written]:
    """For tools of your own: operations of the vocabulary, as examples of what they cannot do."""
    if not tools or tools[0].path[0] != OWN:
        return []
    known = {leaf.path: leaf.operation for leaf in leaves()}
    return [
        Written(tool=cast(known[path], path[1], n), path=path)
        for n, (path, _) in enumerate(spread(list(known), NUM_OUTSIDE, 0))
    ]


def _new(
    samples: tuple[Sample, ...],
    quota: Quota,
    taken: set[str],
    fresh: set[str],
    rejected: Counter[str],
) -> list[Sample]:
    kept = []
    for sample in samples:
        key = request_key(sample)
        if key in taken:
            rejected[Fault.HELD_OUT] += 1
        elif key in fresh:
            rejected[Fault.DUPLICATE] += 1
        elif quota.take(sample):
            fresh.add(key)
            kept.append(sample)
    return kept


def request_key(sample: Sample) -> str:
    """What makes a request the same: the words of the conversation, whatever the tools."""
    return "\n".join(f"{m.role}:{m.content.strip().lower()}" for m in sample.context)


async def harvest_of(brief: DialogueBrief, teacher: Teacher) -> Harvest:
    """Simulate one brief; check each of its samples by the rules, then by the teacher's judge."""
    dialogue = await simulate(brief, teacher)
    if dialogue is None:
        return Harvest(rejected={Fault.NO_DIALOGUE: 1})
    rejected: Counter[str] = Counter()
    sound = []
    for sample in samples_of(dialogue):
        reason: str | None = fault_of(sample)
        if reason is None:
            verdict = await teacher.accept(sample)
            reason = verdict and f"judge: {verdict.removeprefix('judge: ')}"
        if reason:
            rejected[str(reason)] += 1
        else:
            sound.append(sample)
    return Harvest(samples=tuple(sound), rejected=dict(rejected))

"""EDDE: which failures are expanded, and what is let in."""

from __future__ import annotations

from looptool.config import ExpandConfig
from looptool.expand.edde import expand_nothing, pick_expand, verified_failures
from looptool.records import (
    Expansion,
    Failure,
    Judgement,
    Label,
    Match,
    Message,
    Origin,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.teachers.base import Variation
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.work import InMemory

PLAY = Tool(
    name="play",
    description="Play a song.",
    parameters={
        "type": "object",
        "properties": {"song": {"type": "string"}},
        "required": ["song"],
    },
)
WRONG = Label(content="I cannot do that.")


def play(song: str) -> Label:
    return Label(calls=(ToolCall(name="play", arguments={"song": song}),))


def asked(text: str, song: str) -> Sample:
    return Sample.create(
        (PLAY,), (Message(role="user", content=text),), play(song), Scenario.SINGLE
    )


FAILED = [asked(f"Please put on the song {name}, I like it", name) for name in ("Vela", "Orm")]


class Writer(OfflineTeacher):
    """A teacher whose variations are scripted: `drafts` by the parent's song."""

    def __init__(self, *drafts: Sample):
        super().__init__()
        self.drafts = drafts
        self.asked: list[tuple[str, Variation, int]] = []

    async def vary(
        self, failure: Failure, variation: Variation, number: int, seed: int
    ) -> tuple[Sample, ...]:
        self.asked.append((failure.sample.id, variation, number))
        return self.drafts

    async def accept(self, sample: Sample) -> str | None:
        return "dull" if "dull" in sample.context[-1].content else None


def expanded(
    teacher: OfflineTeacher,
    verdicts: tuple[Verdict, ...] = (Verdict.PRED_WRONG,),
    config: ExpandConfig | None = None,
    seed: int = 0,
    held_out: tuple[Sample, ...] = (),
) -> list[Expansion]:
    dataset = FAILED[: len(verdicts)]
    expand = pick_expand(config or ExpandConfig(samples_per_error=3))
    return expand(
        teacher, dataset, probes(dataset), judgements(verdicts), 1, seed, InMemory(), "expand",
        held_out,
    )  # fmt: skip


def probes(dataset: list[Sample]) -> list[ProbeResult]:
    return [
        ProbeResult(
            sample_id=sample.id, checkpoint="c", output="", parsed=ParsedOutput(content="no"),
            match=Match(matched=False), perplexity=1, num_tokens=1,
        )
        for sample in dataset
    ]  # fmt: skip


def judgements(verdicts: tuple[Verdict, ...]) -> list[Judgement]:
    return [
        Judgement(sample_id=sample.id, verdict=verdict)
        for sample, verdict in zip(FAILED, verdicts, strict=False)
    ]


def test_only_failures_whose_right_move_is_known_are_expanded() -> None:
    for verdict in Verdict:
        found = verified_failures(FAILED[:1], probes(FAILED[:1]), judgements((verdict,)), 1)
        assert bool(found) is (verdict in (Verdict.PRED_WRONG, Verdict.LABEL_WRONG))


def test_a_failure_holds_the_right_move_and_the_wrong_one() -> None:
    (failure,) = verified_failures(
        FAILED[:1], probes(FAILED[:1]), judgements((Verdict.PRED_WRONG,)), 1
    )
    assert (failure.sample.label, failure.wrong.content) == (play("Vela"), "no")
    (failure,) = verified_failures(
        FAILED[:1], probes(FAILED[:1]), judgements((Verdict.LABEL_WRONG,)), 1
    )
    assert (failure.sample.label.content, failure.wrong) == ("no", play("Vela"))
    assert failure.sample.edits


def test_new_samples_know_their_parent_origin_and_round() -> None:
    new = asked("Could you start Blue Harvest for me now?", "Blue Harvest")
    (expansion,) = expanded(Writer(new))
    (kept,) = expansion.samples
    assert (kept.id, kept.parents, kept.origin, kept.round) == (
        new.id, (FAILED[0].id,), Origin.EXPANDED, 2,
    )  # fmt: skip


def test_what_breaks_a_rule_or_displeases_the_judge_is_rejected_and_counted() -> None:
    unsaid = asked("Could you start something for me now?", "Blue Harvest")
    dull = asked("A dull one: start Green Harvest, then stop.", "Green Harvest")
    (expansion,) = expanded(Writer(unsaid, dull))
    assert expansion.samples == ()
    assert expansion.rejected == {"ungrounded_argument": 2, "dull": 2}  # two variations were tried


def test_near_duplicates_of_the_dataset_and_of_new_samples_are_rejected() -> None:
    again = asked("please put on the song: Vela. I like it!", "Vela")
    new = asked("Could you start Blue Harvest for me now?", "Blue Harvest")
    both = expanded(Writer(again, new), (Verdict.PRED_WRONG, Verdict.PRED_WRONG))
    assert sum(len(expansion.samples) for expansion in both) == 1
    assert sum(expansion.rejected["near_duplicate"] for expansion in both) >= 3


def test_what_repeats_a_held_out_request_is_rejected_whatever_its_tools() -> None:
    exam = asked("could you start Blue Harvest for me now?", "Blue Harvest")
    exam = exam.model_copy(update={"tools": (PLAY.model_copy(update={"description": "Sing."}),)})
    again = asked("Could you start Blue Harvest for me now? ", "Blue Harvest")
    other = asked("Would you be so kind as to begin with Green Orchard", "Green Orchard")
    (expansion,) = expanded(Writer(again, other), held_out=(exam,))
    assert [sample.id for sample in expansion.samples] == [other.id]
    assert expansion.rejected["repeats_a_held_out_request"] >= 1


def test_another_variation_makes_up_for_what_was_rejected() -> None:
    teacher = Writer(asked("Could you start Blue Harvest for me now?", "Blue Harvest"))
    expanded(teacher, config=ExpandConfig(samples_per_error=2))
    (_, first, number), (_, second, rest) = teacher.asked
    assert first is not second and (number, rest) == (2, 1)


def test_no_more_failures_are_expanded_than_configured() -> None:
    both = (Verdict.PRED_WRONG, Verdict.PRED_WRONG)
    assert len(expanded(Writer(), both, ExpandConfig(max_failures=1))) == 1


def test_the_ablation_makes_nothing() -> None:
    teacher = Writer(asked("Could you start Blue Harvest for me now?", "Blue Harvest"))
    assert pick_expand(ExpandConfig(enabled=False)) is expand_nothing
    assert expanded(teacher, config=ExpandConfig(enabled=False)) == [] and not teacher.asked


def test_the_same_seed_deals_the_same_variations() -> None:
    both = (Verdict.PRED_WRONG, Verdict.PRED_WRONG)
    teachers = [Writer(), Writer()]
    for teacher in teachers:
        expanded(teacher, both, seed=5)
    assert teachers[0].asked == teachers[1].asked
    assert len({variation for _, variation, _ in teachers[0].asked}) > 1


def test_the_offline_teacher_expands_over_the_tools_of_the_failure() -> None:
    expansions = expanded(OfflineTeacher(3), (Verdict.PRED_WRONG, Verdict.PRED_WRONG))
    for expansion in expansions:
        for sample in expansion.samples:
            assert [tool.name for tool in sample.tools] == ["play"]

"""Merge: D(j+1) = ES ∪ EE ∪ HPPL ∪ Seed-new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.config import Config, MergeConfig, SeedConfig, TrainConfig, WarmStartConfig
from looptool.merge import (
    first_share,
    loop_seed,
    pick_merge,
    seed_share,
    validation_seed,
    warm_start_seed,
)
from looptool.records import (
    Expansion,
    Judgement,
    Label,
    Match,
    Message,
    Origin,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    ToolCall,
    Verdict,
)

RIGHT = Label(calls=(ToolCall(name="right"),))


def made(name: str) -> Sample:
    context = (Message(role="user", content=name),)
    return Sample.create((), context, Label(calls=(ToolCall(name="old"),)), Scenario.SINGLE)


def probed(sample: Sample, mastered: bool, perplexity: float = 2.0) -> ProbeResult:
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="round-1",
        output="",
        parsed=ParsedOutput(calls=RIGHT.calls, begins_call=True),
        match=Match(matched=mastered),
        perplexity=perplexity,
        num_tokens=1,
    )


def judged(sample: Sample, verdict: Verdict) -> Judgement:
    return Judgement(sample_id=sample.id, verdict=verdict, error_analysis="why", judge="j")


def merged(
    samples: Mapping[str, Verdict | float],
    config: MergeConfig | None = None,
    **parts: list[Sample],
) -> list[Sample]:
    """Merge after round 1: a sample is given with its verdict, or mastered with its perplexity."""
    probes = [
        probed(made(name), isinstance(how, float), how if isinstance(how, float) else 2.0)
        for name, how in samples.items()
    ]
    judgements = [judged(made(n), how) for n, how in samples.items() if isinstance(how, Verdict)]
    expansions = [Expansion(parent="p", samples=tuple(parts.get("expanded", [])))]
    merge = pick_merge(config or MergeConfig(high_perplexity_share=0.5))
    dataset, fresh = [made(name) for name in samples], parts.get("fresh", [])
    return merge(dataset, probes, judgements, expansions, fresh, 1)


@pytest.mark.parametrize("verdict", [Verdict.PRED_WRONG, Verdict.UNDECIDED])
def test_a_failed_sample_whose_label_stands_is_an_error_seed(verdict: Verdict) -> None:
    (kept,) = merged({"a": verdict})
    assert (kept.label, kept.edits, kept.origin) == (made("a").label, (), Origin.ERROR_SEED)


def test_a_wrong_label_is_corrected_with_an_edit() -> None:
    (kept,) = merged({"a": Verdict.LABEL_WRONG})
    assert kept.label == RIGHT
    assert [(e.old, e.new, e.round, e.judge) for e in kept.edits] == [
        (made("a").label, RIGHT, 1, "j")
    ]


def test_where_both_are_wrong_the_sample_leaves() -> None:
    assert merged({"a": Verdict.BOTH_WRONG}) == []


def test_where_both_are_right_the_sample_counts_as_mastered() -> None:
    (kept,) = merged({"a": Verdict.BOTH_CORRECT, "b": 1.5})
    assert (kept.id, kept.origin) == (made("a").id, Origin.HIGH_PERPLEXITY)


def test_the_most_perplexing_mastered_samples_stay() -> None:
    perplexities = {"a": 1.1, "b": 9.0, "c": 4.0, "d": inf, "e": nan, "f": 1.0}
    kept = merged(perplexities)
    assert [s.context[0].content for s in kept] == ["d", "b", "c"]


def test_calls_stay_however_much_more_perplexing_the_words_are() -> None:
    calls, words = [made(name) for name in "abcd"], [made(name) for name in "efgh"]
    words = [sample.model_copy(update={"label": Label(content="No.")}) for sample in words]
    probes = [probed(sample, True, 1.1 + n / 100) for n, sample in enumerate(calls)]
    probes += [probed(sample, True, 5.0 + n) for n, sample in enumerate(words)]
    merge = pick_merge(MergeConfig(high_perplexity_share=0.5))
    kept = merge([*calls, *words], probes, [], [], [], 1)
    assert [sample.context[0].content for sample in kept] == ["d", "c", "h", "g"]


def test_ties_of_perplexity_do_not_depend_on_the_order() -> None:
    names = "abcdefgh"
    one = merged({name: 2.0 for name in names})
    other = merged({name: 2.0 for name in reversed(names)})
    assert [s.id for s in one] == [s.id for s in other] and len(one) == 4


def test_a_share_of_zero_switches_high_perplexity_off() -> None:
    config = MergeConfig(high_perplexity_share=0)
    assert merged({"a": 2.0, "b": 3.0}, config) == []


def test_all_four_parts_enter_with_their_origin_and_the_next_round() -> None:
    samples: dict[str, Verdict | float] = {"a": Verdict.PRED_WRONG, "b": 3.0, "c": 2.0}
    kept = merged(samples, expanded=[made("d")], fresh=[made("e")])
    assert [sample.origin for sample in kept] == [
        Origin.ERROR_SEED, Origin.EXPANDED, Origin.HIGH_PERPLEXITY, Origin.SEED_NEW,
    ]  # fmt: skip
    assert {sample.round for sample in kept} == {2}


def test_one_sample_enters_once() -> None:
    kept = merged({"a": Verdict.PRED_WRONG}, expanded=[made("a")], fresh=[made("a")])
    assert [sample.origin for sample in kept] == [Origin.ERROR_SEED]


def test_a_sample_that_was_not_probed_leaves() -> None:
    merge = pick_merge(MergeConfig())
    assert merge([made("too long")], [], [], [], [], 1) == []


def test_the_static_baseline_keeps_the_first_dataset() -> None:
    samples: dict[str, Verdict | float] = {"a": Verdict.BOTH_WRONG, "b": 2.0}
    kept = merged(samples, MergeConfig(static=True), fresh=[made("c")])
    assert kept == [made("a"), made("b")]


@pytest.mark.parametrize(("reuse", "first"), [(True, 0), (False, 3)])
@pytest.mark.parametrize("kept_out", [0, 2])
def test_the_loop_leaves_the_warm_start_its_samples_if_told_to(
    reuse: bool, first: int, kept_out: int
) -> None:
    train = [made(str(number)) for number in range(8)]
    config = Config(
        warm_start=WarmStartConfig(samples=3, reuse=reuse),
        train=TrainConfig(validation_samples=kept_out),
        data=SeedConfig(samples=8),
    )
    assert list(loop_seed(train, config)) == train[first : 8 - kept_out]
    assert list(warm_start_seed(train, config)) == train[:3]


def test_nothing_is_trained_on_what_validates() -> None:
    train = [made(str(number)) for number in range(8)]
    config = Config(warm_start=WarmStartConfig(samples=7), train=TrainConfig(validation_samples=3))
    assert list(validation_seed(train, config)) == train[5:]
    assert list(warm_start_seed(train, config)) == train[:5]
    assert not {s.id for s in validation_seed(train, config)} & {
        s.id for s in (*loop_seed(train, config), *warm_start_seed(train, config))
    }


def dealt(train: list[Sample], config: MergeConfig, rounds: list[int]) -> list[list[Sample]]:
    """The deal after each round; `rounds` says how long the run was meant to be just then."""
    used = {sample.id for sample in first_share(train, config)}
    deals = []
    for number, planned in enumerate(rounds, 1):
        deals.append(seed_share(train, config, number, planned, used))
        used |= {sample.id for sample in deals[-1]}
    return deals


def test_a_run_made_longer_deals_no_seed_sample_twice() -> None:
    train = [made(str(number)) for number in range(24)]
    config = MergeConfig(seed_new_share=0.5)
    for plan in ([2, 3, 3], [1, 3, 3], [3, 3, 5, 5, 5]):
        ids = [sample.id for deal in dealt(train, config, plan) for sample in deal]
        assert len(ids) == len(set(ids)) == 12, plan


@settings(deadline=None)
@given(
    size=st.integers(0, 60),
    share=st.floats(0, 1, allow_nan=False),
    rounds=st.integers(1, 6),
)
def test_the_deals_are_equal_and_the_seed_is_used_at_most_once(
    size: int, share: float, rounds: int
) -> None:
    train = [made(str(number)) for number in range(size)]
    config = MergeConfig(seed_new_share=share)
    first = first_share(train, config)
    deals = dealt(train, config, [rounds] * rounds)
    used = Counter(sample.id for part in (first, *deals) for sample in part)
    assert set(used.values()) <= {1}
    assert deals[-1] == []
    if rounds > 1:
        assert len(used) == size
        sizes = [len(deal) for deal in deals[:-1]]
        assert max(sizes) - min(sizes) <= 1

from __future__ import annotations

from collections.abc import Callable

from looptool.records import ErrorType, PlantedError, Verdict
from looptool.report.history import read_history
from looptool.report.noise import planted_noise
from looptool.runs.paths import Paths
from looptool.runs.store import read_records, write_records


def test_found_right_and_left_are_what_the_records_say(build: Callable[..., Paths]) -> None:
    history = read_history(build(rounds=1))
    noise = planted_noise(history)
    assert noise is not None
    planted = {error.sample_id: error for error in history.planted}
    [round] = history.rounds
    samples = {sample.id: sample for sample in round.dataset}
    probes = {probe.sample_id: probe for probe in round.probes or ()}
    replaced = {j.sample_id for j in round.judgements or () if j.verdict is Verdict.LABEL_WRONG}
    reached = {
        j.sample_id
        for j in round.judgements or ()
        if j.sample_id in planted
        and probes[j.sample_id].parsed.calls == planted[j.sample_id].truth.calls
    }
    assert noise.total.planted == len(planted)
    assert (noise.total.found, noise.total.reached) == (len(reached & replaced), len(reached))
    assert (noise.total.right, noise.total.corrections) == (len(reached & replaced), len(replaced))
    standing = {
        s.id for s in round.merged or () if s.id in planted and s.label == samples[s.id].label
    }
    assert noise.total.left == len(standing)
    assert 0 < noise.total.found < noise.total.planted


def test_the_rows_add_up_to_the_total(build: Callable[..., Paths]) -> None:
    noise = planted_noise(read_history(build()))
    assert noise is not None
    assert {row.error for row in noise.rows} >= {"none", ErrorType.WRONG_VALUE.value}
    for name in ("planted", "reached", "found", "corrections", "right", "left"):
        assert sum(getattr(row, name) for row in noise.rows) == getattr(noise.total, name)


def test_a_right_label_that_was_replaced_is_a_wrong_correction(build: Callable[..., Paths]) -> None:
    paths = build(rounds=1)
    errors = read_records(paths.value("seed/planted"), PlantedError)
    before = planted_noise(read_history(paths))
    write_records(paths.value("seed/planted"), errors[:1])
    after = planted_noise(read_history(paths))
    assert before is not None and after is not None
    assert after.total.corrections == before.total.corrections
    assert after.total.right <= 1 < before.total.right


def test_before_the_first_round_all_of_it_is_left(build: Callable[..., Paths]) -> None:
    noise = planted_noise(read_history(build(until="seed")))
    assert noise is not None
    assert noise.total.left == noise.total.planted > 0
    assert noise.total.reached == noise.total.corrections == 0


def test_where_nothing_was_planted_nothing_is_claimed(build: Callable[..., Paths]) -> None:
    paths = build(rounds=1)
    write_records(paths.value("seed/planted"), [])
    assert planted_noise(read_history(paths)) is None

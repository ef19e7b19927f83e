from __future__ import annotations

import pytest

from looptool.records import ErrorType, ParsedOutput, Seed
from looptool.seed.dice import dice
from looptool.seed.noise import differs, plant
from looptool.toolmatch import match


@pytest.mark.parametrize("error", list(ErrorType))
def test_a_planted_error_never_matches_the_truth(seed: Seed, error: ErrorType) -> None:
    made = [
        (sample, wrong)
        for sample in seed.held_out
        if (wrong := plant(sample, error, dice("test", sample.id))) is not None
    ]
    assert made, f"no sample lends itself to {error}"
    assert all(differs(wrong, sample) for sample, wrong in made)


def test_the_truth_of_a_spoilt_sample_is_kept(seed: Seed) -> None:
    samples = {sample.id: sample for sample in seed.train}
    for planted in seed.planted:
        sample = samples[planted.sample_id]
        wrong = ParsedOutput(calls=sample.label.calls, begins_call=bool(sample.label.calls))
        assert not match(wrong, planted.truth, sample.tools).matched


def test_planting_is_reproducible(seed: Seed) -> None:
    for sample in seed.held_out[:40]:
        for error in ErrorType:
            assert plant(sample, error, dice(1)) == plant(sample, error, dice(1))

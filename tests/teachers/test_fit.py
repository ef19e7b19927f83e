"""Which tool a request speaks of."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from looptool.seed.constraint_tree import cast
from looptool.seed.context_tree import leaves
from looptool.teachers.offline.judge import fit
from looptool.teachers.offline.judge.evidence import read

FLIGHTS = [leaf for leaf in leaves() if leaf.path[:2] == ("travel", "flights")]
TOOLS = [cast(leaf.operation, leaf.group, 11) for leaf in FLIGHTS]
REQUEST = "Find a cheap flight to Rome on May 3, two passengers in economy, and book a seat on it"


def test_how_well_tools_fit_does_not_depend_on_the_order_of_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered = fit._words_of

    def shuffled(seed: int) -> Callable[..., dict[str, float]]:
        def words_of(*of: str) -> dict[str, float]:
            words = ordered(*of)
            return {word: words[word] for word in Random(seed).sample(list(words), len(words))}

        return words_of

    found = []
    for seed in range(20):
        monkeypatch.setattr(fit, "_words_of", shuffled(seed))
        found.append(fit.fits(read(REQUEST), TOOLS))
    assert found == [found[0]] * 20 and max(found[0].values()) > 3

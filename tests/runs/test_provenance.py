from __future__ import annotations

import json

from looptool.config import Config
from looptool.runs.provenance import PACKAGES, provenance


def test_it_says_with_what_a_run_was_made_and_is_json() -> None:
    found = provenance(Config(seed=7))
    assert json.loads(json.dumps(found)) == found
    assert set(found["packages"]) == set(PACKAGES)
    assert found["packages"]["torch"]
    assert (found["seed"], found["model"]) == (7, "smollm2-135m")
    assert found["started"].endswith("+00:00")

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from looptool.runs.provenance import PACKAGES, file_hash, provenance


def test_it_says_with_what_a_run_was_made_and_is_json() -> None:
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert set(found["packages"]) == set(PACKAGES)
    assert found["packages"]["torch"]
    assert found["started"].endswith("+00:00")


def test_a_file_is_known_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"weights" * 100_000)
    assert file_hash(tmp_path / "x") == hashlib.sha256(b"weights" * 100_000).hexdigest()

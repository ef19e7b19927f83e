"""What earlier evaluations found stays: outcomes by contender, put together by category."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from looptool.evaluate.players import file_name
from looptool.evaluate.results import SuiteResult
from looptool.runs.store import write_atomic


def own_names(contenders: Sequence[tuple[str, str]], out: Path) -> list[str]:
    """A name in the folder `out` for each (name, identity), the same whenever it is asked for.

    It is the given one, unless outcomes there or an earlier contender of the list have it.
    """
    names: list[str] = []
    for name, identity in contenders:
        known = _known(out, name)
        taken = name in names or (known is not None and known.identity not in ("", identity))
        names.append(file_name(f"{name}-{identity[:6]}") if taken else name)
    return names


def keep(result: SuiteResult, order: Sequence[str], out: Path) -> SuiteResult:
    """Write the outcomes down, with those of the contender's categories that were asked earlier.

    Returns them all, in the suite's `order`.
    """
    known = _known(out, result.contender)
    earlier = known.categories if known and known.identity == result.identity else ()
    found = {category.name: category for category in (*earlier, *result.categories)}
    categories = tuple(found[name] for name in order if name in found)
    whole = result.model_copy(update={"categories": categories})
    text = whole.model_dump_json(indent=1) + "\n"
    write_atomic(_path(out, result.contender), text.encode())
    return whole


def in_common(results: Sequence[SuiteResult]) -> list[SuiteResult]:
    """The results without the categories in which not all of them were asked the same."""
    asked = [{c.name: (c.ids, c.user) for c in result.categories} for result in results]
    shared = [
        name for name, what in asked[0].items() if all(other.get(name) == what for other in asked)
    ]
    return [
        result.model_copy(
            update={"categories": tuple(c for c in result.categories if c.name in shared)}
        )
        for result in results
    ]


def _path(out: Path, name: str) -> Path:
    return out / f"{name}-outcomes.json"


def _known(out: Path, name: str) -> SuiteResult | None:
    """The outcomes under `name`; None if there are none, or none that can be read."""
    try:
        return SuiteResult.model_validate_json(_path(out, name).read_bytes())
    except (OSError, ValueError):
        return None

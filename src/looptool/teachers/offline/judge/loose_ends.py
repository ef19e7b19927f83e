"""What of a request a prediction passes over, and what it may have taken from the wrong place."""

from __future__ import annotations

import re
from collections.abc import Sequence

from looptool.jsonvalue import values_equal
from looptool.records import Tool
from looptool.teachers.offline.judge.coverage import unexplained
from looptool.teachers.offline.judge.demands import Demand, Path
from looptool.teachers.offline.judge.evidence import Evidence, read
from looptool.teachers.offline.judge.fit import around, fits
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.moments import days, same_day
from looptool.teachers.offline.judge.moves import Leaf, Read, alike, atoms, values_of
from looptool.teachers.offline.judge.quantities import SECONDS, Amount, amounts, same_number
from looptool.teachers.offline.judge.roles import role_of
from looptool.teachers.offline.judge.words import (
    holds,
    meets,
    name_tokens,
    normal,
    roots,
    tokens,
    word_set,
)

_QUOTED = re.compile(r"(?<!\w)['\"‘“]([^'\"’”\n]{2,60})['\"’”](?!\w)")
_FOLLOW_UP = re.compile(
    r"\b(too|instead|again|once more|same|as well|that for|and (if|for|what about)|what about|"
    r"how about|change (it|that)|make (it|that))\b",
    re.I,
)
_FIGURES = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]+(?: [A-Z][a-z]+)+")
_AGAIN = roots(
    word_set(
        """
        again also as change do for instead it like make mean meant now repeat same sorry that thing
        time too try use well
        """
    )
)
_ABOUT_TIME = word_set(
    """
    date dates day days time deadline when start end begin from until since till by due at on
    month year week moment expiry expires timestamp birthday schedule scheduled period
    """
)
_MIXED = re.compile(r"[a-z]\d|\d[a-z]", re.I)
_ITEM = re.compile(r"^\s*\d{1,2}[.)]\s", re.M)
_STEPS = re.compile(
    r"\b(then|once|after|afterwards|first|next|finally|followed|before|as soon as|when)\b", re.I
)


def passed_over(calls: list[Read], evidence: Evidence) -> str | None:
    """A number, code, name, date or quotation of the request that neither the calls nor those
    already made hold.
    """
    values = values_of(calls)
    values += [each for value in evidence.done_values for each in atoms(value)]
    held = normal(" ".join(map(str, values)))
    request = evidence.open
    if _STEPS.search(request.text):
        request = around(request, values)
    undated = read(_ITEM.sub("", request.undated.text))
    summed = _summed(undated.amounts, values, held)
    known = [*values, *(amount.value for amount in summed)]
    for word in normal(undated.text).split():
        if any(map(str.isdecimal, word)) and not holds(held, word) and not _among(word, known):
            return word
    for amount in undated.amounts:
        if amount.implied or amount.parts or amount in summed or amount.value <= 1:
            continue
        if not _counted(amount, values, held):
            return f"{amount.value:g}"
    for quoted in _QUOTED.findall(request.text):
        if not holds(held, normal(quoted)):
            return f"'{quoted}'"
    for name in map(str, _NAME.findall(request.text)):
        if not any(holds(held, word) for word in normal(name).split()):
            return name
    held_days = [day for value in values for day in days(str(value))]
    for day in request.days:
        if not any(same_day(day, each) for each in held_days):
            return "a date"
    return None


def speaks_of(path: Path, call: Read, evidence: Evidence) -> bool:
    """Whether the request names what the argument at `path` is about, the tool apart."""
    own = roots(call.demands.at(path).words) - roots(name_tokens(call.call.name))
    return any(meets(word, evidence.open.roots) for word in own)


def unfilled(call: Read, evidence: Evidence) -> str | None:
    """An argument that is left out though the request speaks of what it is about."""
    return next(
        (
            ".".join(path)
            for path, demand in call.demands.by_path.items()
            if path not in call.leaves
            and demand.kind != "boolean"
            and speaks_of(path, call, evidence)
        ),
        None,
    )


def is_own_name(leaf: Leaf, call: Read, old: Leaf | None) -> bool:
    """Whether a text says no more than the name of its parameter does, beside `old`'s, if any.

    "The garage camera" for a camera is "garage" as well as "garage camera".
    """
    own = frozenset(call.demands.at(leaf.path).words)
    said = frozenset(normal(str(leaf.value)).split())
    if old is not None and isinstance(old.value, str):
        said -= frozenset(normal(old.value).split())
    return isinstance(leaf.value, str) and bool(said) and said <= own


def is_anothers(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether what a further argument says was said of another one.

    A number behind the name of another parameter ("in base 2" for `min_digits`), a duration that
    another argument has as a number, a text of words that do not stand together.
    """
    value, demand = leaf.value, call.demands.at(leaf.path)
    if isinstance(value, bool) or demand.closed:
        return False
    if isinstance(value, str):
        others = [each for each in values_of([call]) if each is not value]
        said = amounts(value)
        counted = bool(said) and all(_counted(amount, others, "") for amount in said)
        return counted or leaf.grounds.support < Support.STATED
    return is_behind_another(leaf, call, evidence)


def is_behind_another(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether a number stands beside the name of another parameter and not of its own."""
    if not isinstance(leaf.value, int | float):
        return False
    known = call.demands.by_path.items()
    parts = {path: role_of(leaf.value, each, evidence.said) for path, each in known}
    return parts.get(leaf.path, 0) < 2 <= max(parts.values(), default=0)


def exchangeable(leaf: Leaf, call: Read, other: Read, evidence: Evidence) -> bool:
    """Whether the label has one text in two places, and the new one could stand in either of them.

    That one of the two is wrong does not say which; the words around them may.
    """
    old, here = other.leaves.get(leaf.path), call.demands.at(leaf.path)
    if old is None or not isinstance(old.value, str) or here.is_telling:
        return False
    for path, each in other.leaves.items():
        there = call.demands.at(path)
        if each is old or there.is_telling or not values_equal(each.value, old.value):
            continue
        new_here, new_there = (role_of(leaf.value, d, evidence.said) for d in (here, there))
        old_here, old_there = (role_of(old.value, d, evidence.said) for d in (here, there))
        if new_here - new_there + old_there - old_here <= 0:
            return True
    return False


def is_made_up(call: Read) -> bool:
    """Whether the call has one value in several places: whatever was at hand."""
    values = [str(leaf.value) for leaf in call.leaves.values()]
    return len(set(values)) < len(values)


def options_said(demand: Demand, evidence: Evidence) -> list[object]:
    """The allowed values of an argument that the request holds."""
    return [each for each in demand.closed if holds(evidence.open.normal, normal(str(each)))]


def option_said(call: Read, evidence: Evidence) -> str | None:
    """An argument without the one of its allowed values that was said."""
    if call.tool is None:
        return None
    for path, demand in call.demands.by_path.items():
        told = [
            each
            for each in options_said(demand, evidence)
            if len(str(each)) > 2 and each != demand.default
        ]
        given = call.leaves[path].value if path in call.leaves else None
        if told and not any(values_equal(each, given) for each in told):
            return ".".join(path)
    return None


def repeats(call: Read, evidence: Evidence) -> bool:
    """Whether the call was made and served before, argument for argument."""
    return any(
        call.call.name == earlier.name and values_equal(call.call.arguments, earlier.arguments)
        for earlier in evidence.served
    )


def rewritten(leaf: Leaf, old: Leaf | None, evidence: Evidence) -> bool:
    """Whether a text is not as it was written: a code cut short, other capitals, space around it.

    Where `old`, the label's value, means the same, it has to be that.
    """
    value = leaf.value
    if not isinstance(value, str) or days(value):
        return False
    if old is not None and str(old.value) != value:
        inner = old.value[0] if isinstance(old.value, list) and len(old.value) == 1 else old.value
        if alike(inner, value) and str(inner) != value:
            return True
        frames = [_FIGURES.sub("0", normal(str(each))) for each in (inner, value)]
        if frames[0] != frames[1] and "0" in frames[1] and holds(*frames):
            return True  # "12", where the label has "plot 82"
    said = evidence.said
    if _MIXED.search(value) and not _stands_whole(value, said.lower):
        return True
    return value != value.strip() or (value.casefold() in said.lower and value not in said.text)


def _stands_whole(value: str, text: str) -> bool:
    found = re.search(rf"(?<![\w-]){re.escape(value.casefold())}(?![\w]|-\w)", text)
    return found is not None


def is_stray_day(leaf: Leaf, call: Read) -> bool:
    """Whether a date is given to an argument that is not about time."""
    demand = call.demands.at(leaf.path)
    if not isinstance(leaf.value, str) or demand.day or not days(leaf.value):
        return False
    return not _ABOUT_TIME & {*demand.words, *tokens(demand.about)}


def better_tool(call: Read, tools: Sequence[Tool], evidence: Evidence) -> str | None:
    """Another tool of which the request around the call's values speaks more."""
    if _goes_on_with(call, evidence):
        return None
    scores = fits(around(evidence.open, values_of([call])), tools)
    best = max(scores, key=lambda name: scores[name], default=None)
    if best is None or scores[best] <= scores.get(call.call.name, 0.0):
        return None
    return best


def asks_for_something(call: Read, evidence: Evidence) -> bool:
    """Whether anything in the call has come from the request, or nearly has."""
    given = [leaf.grounds for leaf in call.leaves.values()]
    said = any(grounds.fresh and grounds.support >= Support.DERIVED for grounds in given)
    return not given or said or nearly_right(call, evidence)


def nearly_right(call: Read, evidence: Evidence) -> bool:
    """Whether an argument misses what was said by a digit, or by its type alone."""
    return not is_made_up(call) and any(_misses(leaf, evidence) for leaf in call.leaves.values())


def follows_up(call: Read, evidence: Evidence) -> bool:
    """Whether the request goes on from a call made before, and this one is of another tool."""
    return _goes_on(evidence) and call.call.name != evidence.before[-1].name


def more_to_do(label: list[Read], evidence: Evidence) -> bool:
    """Whether the request has several steps, of which the label's may be the next."""
    done = {call.name for call in evidence.done}
    asked = bool(done) and _STEPS.search(evidence.open.text) is not None
    return asked and any(call.tool is not None and call.call.name not in done for call in label)


def keeps(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether the request goes on from the last call, which is of this tool and has the value."""
    if not _goes_on_with(call, evidence) or len(leaf.path) > 1:
        return False
    before = evidence.before[-1].arguments
    return leaf.path[0] in before and values_equal(leaf.value, before[leaf.path[0]])


def continues(call: Read, evidence: Evidence) -> bool:
    """Whether the request only changes the last call, and this is the same tool again: every word
    of it is accounted for.
    """
    if not _goes_on_with(call, evidence):
        return False
    return call.valid.matched and not unexplained([call], evidence) - _AGAIN


def _goes_on_with(call: Read, evidence: Evidence) -> bool:
    return _goes_on(evidence) and call.call.name == evidence.before[-1].name


def _goes_on(evidence: Evidence) -> bool:
    begun = bool(evidence.before) and not evidence.done
    return begun and _FOLLOW_UP.search(evidence.open.text) is not None


def _among(word: str, values: list[object]) -> bool:
    """Whether a number is one of the values, however it is written."""
    found = amounts(word)
    return any(_equal(amount.value, value) for amount in found for value in values)


def _summed(said: Sequence[Amount], values: list[object], held: str) -> list[Amount]:
    """What was said of durations that the calls hold as one: the 1 and the 34 of 94 minutes."""
    sums = [amount for amount in said if amount.parts and _counted(amount, values, held)]
    return [part for amount in sums for part in amount.parts]


def _counted(amount: Amount, values: list[object], held: str) -> bool:
    if holds(held, f"{amount.value:g}") or any(_equal(amount.value, each) for each in values):
        return True
    if amount.unit is None:
        return False
    seconds = amount.value * SECONDS[amount.unit]
    return any(_equal(seconds / size, value) for size in SECONDS.values() for value in values)


def _equal(number: float, value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return same_number(number, value) or same_number(number, 100 * value)
    return any(same_number(number, each.value) for each in amounts(str(value)))


def _misses(leaf: Leaf, evidence: Evidence) -> bool:
    value = leaf.value[0] if isinstance(leaf.value, list) and len(leaf.value) == 1 else leaf.value
    text = normal(str(value))
    if isinstance(value, bool) or not text or not any(map(str.isdecimal, text)):
        return False
    if holds(evidence.fresh.normal, text):
        return leaf.grounds.support < Support.DERIVED
    return any(_one_off(text, word) for word in evidence.fresh.normal.split())


def _one_off(one: str, other: str) -> bool:
    """Whether two codes of some length differ in one character."""
    if len(one) != len(other) or len(one) < 4:
        return False
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1

"""What rules can say for certain about a move, at no cost.

Of the rule judge's findings only those count that nobody could dispute: the schema, and a value of
a kind that cannot be thought out (an address, a telephone number, a record's identifier) of which
no part stands anywhere. Numbers, dates, names and public codes can follow from what was said, or be
known: of those a model must judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from looptool.jsonvalue import shorten
from looptool.records import Label, Message, Mismatch, Tool
from looptool.teachers.offline.judge.evidence import gather
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.moves import Leaf, read_move
from looptool.teachers.offline.judge.words import name_tokens, word_set

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HASH = re.compile(
    r"(?=.*\d)(?=.*[a-f])(?:0x)?[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12,}", re.IGNORECASE
)
_PHONE = re.compile(r"\+?[\d\s()./-]{9,}")
_CODE = re.compile(r"[A-Za-z]{2,}[A-Za-z0-9]*(?:[-_#][A-Za-z0-9]+)*")
_PUBLIC = re.compile(
    r"(cve|cwe|rfc|iso|iec|ieee|din|en|astm|arxiv|doi|pmid|pmc|nct|isbn|issn|ens[a-z]*|gse|tt|nm|"
    r"chembl|uniprot|covid|sp|nasdaq|utc|gmt|http)[\W_]?\d",
    re.IGNORECASE,
)
_PHONES = word_set("phone telephone mobile cell fax msisdn whatsapp")
_RECORDS = word_set(
    """
    id ids identifier reference ref ticket invoice booking reservation confirmation tracking order
    transaction account iban case token voucher coupon promo
    """
)
"""Words in the name of a parameter that takes what a system once gave out."""
LONGEST = 100
"""Characters of a value that is looked into."""
_DIGIT = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|hundred|thousand)"
_SPELT = re.compile(rf"\b{_DIGIT}\W+{_DIGIT}\b", re.IGNORECASE)

NEAR = 100
"""An identifier whose number is as near as that to one that stands there may be counted on to."""


def impossible(label: Label, tools: Sequence[Tool], context: Sequence[Message]) -> str | None:
    """Why a move is wrong whatever was meant, or None if rules cannot tell.

    A tool whose own schema is unsound proves nothing against a call.
    """
    calls = read_move(label, tools, gather(context))
    for read in calls:
        if read.tool is None:
            return f"There is no function {read.call.name}."
        if not read.valid.matched and read.valid.reason is not Mismatch.BAD_CALL:
            return f"The call breaks its schema ({read.valid.detail})."
    known = _Known(tools, context)
    for read in calls:
        for leaf in read.leaves.values():
            for value in _strings(leaf.value) if leaf.grounds.support is Support.AGAINST else ():
                if _from_nowhere(value, leaf, known):
                    where = f"{read.call.name}.{leaf.name}"
                    return f"The value {shorten(value)} of {where} stands nowhere at all."
    return None


class _Known:
    """All that a value could come from: every message, call, result and tool."""

    def __init__(self, tools: Sequence[Tool], context: Sequence[Message]) -> None:
        made = [message.model_dump_json() for message in context]
        text = " ".join([*made, *(str(tool.as_function()) for tool in tools)]).lower()
        self.bare = _bare(text)
        self.digits = re.sub(r"\D+", "", text)
        self.words = frozenset(re.findall(r"[^\W\d_]{3,}", text))
        self.numbers = [int(run) for run in re.findall(r"\d+", text) if len(run) < 30]
        self.spelt = _SPELT.search(text) is not None

    def names(self, local: str) -> bool:
        """Whether the name in an address could be made of words that stand there."""
        return _bare(local) in self.bare or any(word in local for word in self.words)

    def counts_to(self, number: int) -> bool:
        return any(abs(number - one) <= NEAR for one in self.numbers)


def _from_nowhere(value: str, leaf: Leaf, known: _Known) -> bool:
    if len(value) > LONGEST:
        return False
    if _EMAIL.fullmatch(value):
        return not known.names(value.partition("@")[0].lower())
    if _HASH.fullmatch(value):
        bare = _bare(value)
        return not any(bare[at : at + 6] in known.bare for at in range(len(bare) - 5))
    named = {word for part in leaf.path for word in name_tokens(part)}
    digits = re.sub(r"\D+", "", value)
    if len(digits) < 4 or known.spelt:
        return False
    if _PHONE.fullmatch(value) and named & _PHONES:
        windows = (digits[at : at + 4] for at in range(len(digits) - 3))
        return len(digits) >= 7 and not any(window in known.digits for window in windows)
    if _CODE.fullmatch(value) and named & _RECORDS and not _PUBLIC.match(value):
        runs = [run.lstrip("0") or "0" for run in re.findall(r"\d+", value)]
        return not any(run in known.digits or known.counts_to(int(run)) for run in runs)
    return False


def _bare(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text.lower()))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)

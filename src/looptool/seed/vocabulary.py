"""The vocabulary: what the offline teacher can talk about, read from one TOML file a domain.

A domain is level one of the Context Tree, its groups are level two and its operations are the
leaves. `docs/vocabulary.md` describes the file format for whoever writes one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DOMAINS = Path(__file__).parent / "domains"

Kind = Literal[
    "text", "enum", "bool", "integer", "number", "money", "percent", "date", "time", "datetime",
    "year", "month", "weekday", "duration", "city", "country", "place", "address", "coordinates",
    "person", "company", "email", "phone", "url", "currency", "language", "color", "id", "list",
]  # fmt: skip

SLOT = re.compile(r"\{([a-z0-9_]+)\}")
VALUE = "~"
"""Where the value stands in a param's `around`."""
_ONLY_SAID = re.compile(r"<([a-z]+)> ")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_surfaces(value: Any) -> Any:
    """`["a", "<the> b"]`: each value is said as it is written; what is in "<>" is only said."""
    if isinstance(value, list):
        return {
            _ONLY_SAID.sub("", str(v)): (_ONLY_SAID.sub(r"\1 ", str(v)).replace("_", " "),)
            for v in value
        }
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Surfaces = Annotated[dict[str, Texts], BeforeValidator(_as_surfaces)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Param(_Entry):
    """What one parameter of an operation means, and how people say its value."""

    kind: Kind
    about: Texts = Field(min_length=1)
    names: Texts = ()
    optional: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    unit: str | None = None
    values: Surfaces = {}
    yes: Texts = ()
    no: Texts = ()
    noun: str | None = None
    around: Texts = ()
    of: Kind | None = None
    size: int | None = None
    within: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        kinds = {self.kind, self.of}
        if "enum" in kinds and len(self.values) < 2:
            raise ValueError("an enum needs two values or more")
        if "text" in kinds and len(self.values) < 6:
            raise ValueError("a text needs six example values or more")
        if self.kind == "bool" and not self.yes:
            raise ValueError("a bool needs `yes`: the words that switch it on")
        if kinds & {"integer", "number", "money"} and (self.min is None or self.max is None):
            raise ValueError(f"a {self.kind} needs min and max")
        if self.kind == "duration" and (self.unit is None or self.max is None):
            raise ValueError("a duration needs unit, min and max")
        if "id" in kinds and not self.noun:
            raise ValueError("an id needs a noun: what it identifies")
        if (self.kind == "list") != (self.of is not None):
            raise ValueError("`of` goes with kind = 'list', and only with it")
        if self.size is not None and self.of is None:
            raise ValueError("`size` is the number of items of a list")
        if any(way.count(VALUE) != 1 for way in self.around):
            raise ValueError(f"each of `around` has one {VALUE}, where the value stands")
        if self.default is not None and not self.optional:
            raise ValueError("only an optional parameter has a default")
        return self


class Operation(_Entry):
    """A leaf of the Context Tree: something an API can do, and the ways people ask for it.

    `asks` are imperative clauses ("book a table[ for {guests}]"); `says` are whole sentences.
    A part in brackets is said only when every slot in it has a value.
    """

    name: str
    names: Texts = ()
    does: Texts = Field(min_length=1)
    asks: Texts = Field(min_length=3)
    says: Texts = Field(min_length=2)
    params: dict[str, Param] = {}
    returns: dict[str, str | list[str]] = {}
    errors: Texts = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        required = {name for name, param in self.params.items() if not param.optional}
        for text in (*self.asks, *self.says):
            check_brackets(text)
            slots = SLOT.findall(text)
            if unknown := set(slots) - set(self.params):
                raise ValueError(f"{text!r} speaks of {sorted(unknown)}, which is no parameter")
            if missing := required - set(slots):
                raise ValueError(f"{text!r} leaves out the required {sorted(missing)}")
            if len(slots) != len(set(slots)):
                raise ValueError(f"{text!r} has a slot twice")
        for name, param in self.params.items():
            if param.optional and not any(f"{{{name}}}" in t for t in (*self.asks, *self.says)):
                raise ValueError(f"no ask or say speaks of the optional {name!r}")
        return self


class OperationGroup(_Entry):
    """Level two: operations that belong together."""

    name: str
    about: str
    operations: tuple[Operation, ...] = Field(min_length=1)


class Domain(_Entry):
    """Level one: one file."""

    name: str
    about: str
    groups: tuple[OperationGroup, ...] = Field(min_length=2)

    def operations(self) -> Iterator[tuple[OperationGroup, Operation]]:
        for group in self.groups:
            for operation in group.operations:
                yield group, operation


def check_brackets(text: str) -> None:
    """Raise ValueError unless the brackets of `text` pair up, unnested, each around a slot."""
    outside, depth = "", 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if depth not in (0, 1):
            raise ValueError(f"{text!r} has unbalanced or nested brackets")
        outside += char
    if depth:
        raise ValueError(f"{text!r} has unbalanced or nested brackets")
    for part in re.findall(r"\[([^\]]*)\]", text):
        if not SLOT.search(part):
            raise ValueError(f"{text!r} has brackets around {part!r}, which has no slot")


def read_domain(path: Path) -> Domain:
    """Read one domain file; ValueError names the file and the place that is wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        groups = [
            {
                "name": group_name,
                "about": group.pop("about"),
                "operations": [{"name": name, **operation} for name, operation in group.items()],
            }
            for group_name, group in raw.items()
            if isinstance(group, dict)
        ]
        return Domain.model_validate({"name": path.stem, "about": raw["about"], "groups": groups})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


@cache
def read_vocabulary(folder: Path = DOMAINS) -> tuple[Domain, ...]:
    """All domains of a folder, by name."""
    return tuple(read_domain(path) for path in sorted(folder.glob("*.toml")))


if __name__ == "__main__":
    import sys

    failed = False
    for argument in sys.argv[1:]:
        try:
            domain = read_domain(Path(argument))
        except ValueError as error:
            print(error)
            failed = True
        else:
            count = sum(1 for _ in domain.operations())
            print(f"{domain.name}: {len(domain.groups)} groups, {count} operations")
    sys.exit(2 if failed else 0)

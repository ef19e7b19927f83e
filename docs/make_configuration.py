"""Write docs/configuration.md from the docstrings of the config models."""

from __future__ import annotations

import typing
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from looptool.config import Config, LoraConfig, SupervisedConfig

PAGE = Path(__file__).with_name("configuration.md")
INTRO = """\
# Configuration

A run is described by one TOML file. Every key has a default; an unknown key is an error;
`extends = "other.toml"` takes another file and changes some of its keys. On the
command line `-o section.key=value` changes one key: `looptool run configs/quickstart.toml -o
rounds=3 -o train.lora.rank=8`. A run keeps its resolved config as `config.json`. Once it has
results, only `rounds` (upwards), `train.checkpoint_every`, `train.shared_prefix` and what says
where the teacher is, how patiently it is asked and what it may cost (`teacher.base_url`,
`api_key_env`, `timeout`, `retries`, `max_tokens`, `concurrency`, `max_budget`,
`max_budget_tokens`) may change.

*Made from the code by `python docs/make_configuration.py`.*
"""
NESTED = {
    "train.lora` and `warm_start.lora": LoraConfig,
    "train.labels": SupervisedConfig,
}
SETTINGS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}


def text() -> str:
    """The page."""
    plain, sections = [], []
    for name, field in Config.model_fields.items():
        kinds = [kind for kind in _kinds(field.annotation) if _is_section(kind)]
        sections += [_section(name, kind) for kind in kinds]
        if not kinds:
            plain.append(_row(name, field))
    sections += [_section(name, kind) for name, kind in NESTED.items()]
    return "\n".join([INTRO, "## The run", "", *_table(plain), "", *sections])


def _section(name: str, kind: type[BaseModel]) -> str:
    variant = f' with `type = "{kind.model_fields["type"].default}"`' if name == "teacher" else ""
    about = "\n".join(line.strip() for line in (kind.__doc__ or "").strip().splitlines())
    rows = [_row(key, field) for key, field in kind.model_fields.items()]
    return "\n".join([f"## `{name}`{variant}", "", about, "", *_table(rows), ""])


def _table(rows: list[str]) -> list[str]:
    return ["| key | type | default | |", "|---|---|---|---|", *rows]


def _row(key: str, field: FieldInfo) -> str:
    about = " ".join((field.description or "").split())
    cells = [f"`{key}`", _type(field), _default(field), about]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return ", ".join(f"`{key} = {inner}`" for key, inner in value.items())
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _type(field: FieldInfo) -> str:
    names = [_name(kind) for kind in _kinds(field.annotation) if kind is not type(None)]
    limits = [
        sign.format(getattr(item, attribute))
        for item in (*field.metadata, *_limits_within(field.annotation))
        for attribute, sign in SETTINGS.items()
        if hasattr(item, attribute)
    ]
    return ", ".join([" or ".join(dict.fromkeys(names)), *dict.fromkeys(limits)])


def _limits_within(annotation: object) -> list[object]:
    """What is annotated to the members of a union: `Annotated[int, Field(ge=1)] | None`."""
    inner = [x for kind in typing.get_args(annotation) for x in getattr(kind, "__metadata__", ())]
    return [limit for item in inner for limit in getattr(item, "metadata", [item])]


def _name(kind: object) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f'`"{value}"`' for value in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"list of {_name(_bare(typing.get_args(kind)[0]))}"
    if typing.get_origin(kind) is dict:
        return "table of shares"
    if kind in NESTED.values():
        return "section, see below"
    names = {int: "integer", float: "number", bool: "true or false", str: "text"}
    return names.get(kind, str(kind))  # type: ignore[call-overload, no-any-return]


def _kinds(annotation: object) -> list[object]:
    """The members of a union, or the type itself; without what is annotated to them."""
    bare = _bare(annotation)
    if typing.get_origin(bare) in (typing.Literal, tuple, dict):
        return [bare]
    return [_bare(kind) for kind in typing.get_args(bare)] or [bare]


def _bare(annotation: object) -> object:
    if typing.get_origin(annotation) is typing.Annotated:
        return typing.get_args(annotation)[0]
    return annotation


def _is_section(kind: object) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in NESTED.values()


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")

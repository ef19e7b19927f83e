"""Prompts: text files with named slots. What others wrote is quoted in them, never mixed in."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from looptool.teachers.llm.calls import Chat

_SLOT = re.compile(r"\{\{(\w+)\}\}")
_DIVIDER = "\n--- user ---\n"


class Part(str):
    """Text that may fill a slot: a prompt's own, or data behind a fence."""

    __slots__ = ()


def quote(value: Any) -> Part:
    r"""`value` as one line of JSON inside a fence that it cannot contain.

    The fence is named by the hash of what it holds, and `<` is written `\u003c` inside.
    """
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    name = f"data-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"
    return Part(f"<{name}>\n{text}\n</{name}>")


def part(name: str) -> Part:
    """A prompt file that is a part of others."""
    return Part(_text(name).strip())


def render(name: str, **slots: Part | int) -> Chat:
    """System and user message of a prompt, its slots filled.

    Data gets into a slot only through `quote`, and so cannot pass for instruction.
    """
    system, user = _read(name)
    wanted = set(_SLOT.findall(system + user))
    assert wanted == set(slots), f"{name}: slots {sorted(wanted)}, given {sorted(slots)}"

    def filled(text: str) -> str:
        return _SLOT.sub(lambda slot: str(slots[slot[1]]), text)

    return (
        {"role": "system", "content": filled(system)},
        {"role": "user", "content": filled(user)},
    )


@cache
def _read(name: str) -> tuple[str, str]:
    system, divider, user = _text(name).partition(_DIVIDER)
    assert divider, f"{name}: no user part"
    return f"{system.strip()}\n\n{_text('quoted_data').strip()}", user.strip()


def _text(name: str) -> str:
    return (files("looptool.teachers") / "prompts" / f"{name}.md").read_text(encoding="utf-8")

"""Answers of a stated shape: the schema goes along, what comes back is checked, or asked again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from looptool.jsonvalue import read_json
from looptool.teachers.llm.calls import Ask, Chat, UnusableError
from looptool.teachers.llm.client import Client
from looptool.teachers.llm.prompts import quote
from looptool.teachers.llm.shapes import plain_schema

Shape = TypeVar("Shape", bound=BaseModel)
Made = TypeVar("Made")

REPAIRS = 2
"""How often a model is shown what is wrong with its answer."""


async def ask_for(
    client: Client,
    ask: Ask,
    shape: type[Shape],
    make: Callable[[Shape], Made],
) -> Made:
    """What `make` makes of an answer that is JSON of `shape`.

    The endpoint is held to `ask.schema`, or to the schema of the shape if there is none.

    `make` raises ValueError for an answer that will not do; its message is shown to the model,
    which answers again: first with its answer at hand, then, as small models only repeat that,
    without. Raises UnusableError if `REPAIRS` repairs did not help.
    """
    schema = plain_schema(shape)
    asked = chat = _with_shape(ask.chat, schema)
    for repair in range(REPAIRS + 1):
        call = replace(ask, chat=chat, schema=ask.schema or schema, sample=ask.sample + repair)
        answer = await client.complete(call)
        try:
            return make(shape.model_validate(find_json(answer.text)))
        except ValueError as error:
            wrong = _what(error)
            client.ledger.refuse(call.key(), ask.role, _kind(wrong), repair == REPAIRS)
            if repair == REPAIRS:
                raise UnusableError(f"{ask.role}: {wrong}") from None
            chat = _with_hint(asked, wrong) if repair else _with_repair(asked, answer.text, wrong)
    raise AssertionError("the last repair returns or raises")


def find_json(text: str) -> Any:
    """The JSON object in an answer, whatever stands around it. ValueError if there is none."""
    for block in text.split("```")[1:-1:2]:
        language, _, code = block.partition("\n")
        text = code if language.strip() in ("", "json") and "{" in code else text
    start = text.find("{")
    if start < 0:
        raise ValueError("there is no JSON object in it")
    return read_json(text, start)[0]


def _with_shape(chat: Chat, schema: dict[str, Any]) -> Chat:
    *before, last = chat
    wanted = json.dumps(schema, ensure_ascii=False)
    text = f"Answer with one JSON object and nothing else. Its schema:\n{wanted}"
    return (*before, {**last, "content": f"{last['content']}\n\n{text}"})


def _with_repair(chat: Chat, answer: str, wrong: str) -> Chat:
    asked = (
        f"That answer cannot be used. What is wrong with it:\n{quote(wrong)}\n"
        "Answer again, whole, as one JSON object of the same schema and nothing else."
    )
    return (*chat, {"role": "assistant", "content": answer}, {"role": "user", "content": asked})


def _with_hint(chat: Chat, wrong: str) -> Chat:
    *before, last = chat
    hint = f"What was wrong with the last answer to this:\n{quote(wrong)}"
    return (*before, {**last, "content": f"{last['content']}\n\n{hint}"})


def _what(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}"
    return str(error)[:400]


def _kind(wrong: str) -> str:
    """What many faults have in common: the field, and the kind of mismatch where one is told."""
    field, *rest = wrong.split(": ")
    kind = f": {rest[0]}" if len(rest) > 1 and rest[0].isidentifier() else ""
    return re.split(r"[.\[]", field, maxsplit=1)[0][:60] + kind

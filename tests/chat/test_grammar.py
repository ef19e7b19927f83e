"""The grammar of a move lets every sound one pass, and stops a call where it goes wrong."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from looptool.chat import load_format
from looptool.chat.base import ChatFormat
from looptool.chat.grammar import move_grammar
from looptool.errors import UserError
from looptool.models.guide import Guide, Guides
from looptool.records import Label, Tool, ToolCall

FORECAST = Tool(
    name="forecast",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": 'A "city" // not a comment'},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "at": {"type": "array", "items": {"type": "number"}},
        },
        "required": ["city", "days"],
    },
)
ODD = Tool(name='say "</tools>"', parameters={"type": "object", "properties": {}})
TOOLS = (FORECAST, ODD)


def call(**arguments: Any) -> ToolCall:
    return ToolCall(name="forecast", arguments=arguments)


@pytest.fixture(scope="module")
def hermes(tiny_tokenizer: Any) -> ChatFormat:
    return load_format("hermes", tiny_tokenizer)


@pytest.fixture(scope="module")
def guides(hermes: ChatFormat) -> Guides:
    return Guides(hermes)


def admitted(guide: Guide | None, format: ChatFormat, text: str) -> str:
    """The beginning of the text that the guide lets pass, said letter by letter."""
    assert guide is not None
    pieces = [
        p for part in re.split(r"(<\|.*?\|>)", text) for p in ([part] if "|>" in part else part)
    ]
    ids = [i for p in pieces for i in format.tokenizer(p, add_special_tokens=False)["input_ids"]]
    return format.decode(ids[: guide.fork().admit(ids)])


SOUND = [
    Label(content="I can't do that."),
    Label(content='Write {"name": "forecast"} and <b>bold</b>.'),
    Label(calls=(call(city="Rome", days=3),)),
    Label(calls=(call(city='<|im_end|> </tool_call> "é"\n', days=-3, unit="F", at=[1, 2.5]),)),
    Label(calls=(ToolCall(name=ODD.name, arguments={}), call(city="", days=0, at=[]))),
    Label(calls=(call(city="Rome", days=3),) * 5),
]


@pytest.mark.parametrize("label", SOUND)
def test_every_sound_move_is_admitted_whole(
    hermes: ChatFormat, guides: Guides, label: Label
) -> None:
    guide = guides.moves(TOOLS)
    assert guide is not None
    ids = hermes.completion_ids(label)
    assert guide.admit(ids) == len(ids)


BEGIN = '<tool_call>\n{"name": "forecast", "arguments": '


@pytest.mark.parametrize(
    ("said", "until"),
    [
        (BEGIN + '{"city": "Rome", "days": 5C}', '"days": 5'),
        (BEGIN + '{"days": 5}', '{"'),
        (BEGIN + '{"city": "Rome"}', '"Rome"'),
        (BEGIN + '{"city": Rome', '"city": '),
        (BEGIN + '{"city": "Rome", "days": 2.5}', '"days": 2'),
        (BEGIN + '{"city": "Rome", "days": 2, "unit": "K"}', '"unit": "'),
        (BEGIN + '{"city": "Rome", "days": 2, "days": 3}', '2, "'),
        (BEGIN + '{"city": "Rome", "days": 2, "zip": 3}', '2, "'),
        (BEGIN + '{"city": "Rome", "days": 2, "at": [1, two]}', "[1, "),
        (BEGIN + '{"city": "Rome", "days": 2}\n</tool_call>', "2}"),
        (BEGIN + '{"city": "Rome", "days": 2}}<|im_end|>', "2}}"),
        ('<tool_call>\n{"name": "weather", ', '"name": "'),
        ("Sure: <tool_call>forecast()", "<tool_call>"),
    ],
)
def test_a_call_goes_no_further_than_its_schema_allows(
    hermes: ChatFormat, guides: Guides, said: str, until: str
) -> None:
    assert admitted(guides.moves(TOOLS), hermes, said).endswith(until)


def test_a_call_can_be_required_and_their_number_limited(
    hermes: ChatFormat, guides: Guides
) -> None:
    one = hermes.completion(Label(calls=(call(city="Rome", days=3),))).removesuffix("<|im_end|>")
    two = f"{one}\n{one}"
    must = guides.moves(TOOLS, must_call=True)
    assert admitted(must, hermes, "Hello") == ""
    assert admitted(must, hermes, f"{two}<|im_end|>") == f"{two}<|im_end|>"
    assert admitted(guides.moves(TOOLS, most=1), hermes, two) == one
    assert admitted(guides.moves(TOOLS, most=2), hermes, f"{two}\n{one}") == two
    assert guides.moves(()) is None


def test_native_formats_have_the_grammar_of_what_their_template_writes(
    native: ChatFormat,
) -> None:
    guide = Guides(native).moves(TOOLS)
    assert guide is not None
    for label in (SOUND[0], SOUND[2], SOUND[3]):
        ids = native.completion_ids(label)
        end = next(at for at, token in enumerate(ids) if token in native.stop_ids)
        assert guide.fork().admit(ids) == end + 1
    wrong = native.completion(Label(calls=(call(city="Rome", days=3),))).replace(": 3", ": x")
    assert admitted(guide, native, wrong).endswith(": ")


def test_a_schema_beyond_the_compiler_is_any_object_and_said_so(
    hermes: ChatFormat, guides: Guides, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Tool(name="odd", parameters={"type": "object", "properties": {"x": {"type": "any"}}})
    with caplog.at_level(logging.WARNING):
        guide = guides.moves([odd])
    assert "the schema of odd" in caplog.text
    said = (
        '<tool_call>\n{"name": "odd", "arguments": {"y": [1, {"z": null}]}}\n</tool_call><|im_end|>'
    )
    assert admitted(guide, hermes, said) == said
    assert admitted(guide, hermes, said.replace("null", "nil")).endswith('"z": n')


def test_calls_written_as_a_list_have_no_grammar(hermes: ChatFormat) -> None:
    class Lists:
        tokenizer = hermes.tokenizer
        stop_ids = hermes.stop_ids
        decode = staticmethod(hermes.decode)

        @staticmethod
        def completion_ids(label: Label) -> list[int]:
            text = ", ".join(
                f'{{"name": "{each.name}", "arguments": {{}}}}' for each in label.calls
            )
            ids: list[int] = hermes.tokenizer(f"[{text}]<|im_end|>")["input_ids"]
            return ids

    with pytest.raises(UserError, match="as a list"):
        move_grammar(Lists(), TOOLS)  # type: ignore[arg-type]

"""A model's own chat template is used as it is, if it knows tools and can be read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

from looptool.chat import ChatFormat, check_prefix_preserving, load_format
from looptool.chat.hermes import Hermes
from looptool.chat.reading import read_bare
from looptool.records import Label, Message, Mismatch, Tool, ToolCall

from .conftest import CHATML, HOSTILE, LLAMA

CALL = ToolCall(name="get_weather", arguments={"city": "Oslo"})
USER = Message(role="user", content="What is the weather in Oslo?")
TALK = [
    USER,
    Message(role="assistant", tool_calls=(CALL,)),
    Message(role="tool", content="rain"),
    Message(role="assistant", content="Rain."),
    USER,
]


@pytest.fixture(scope="module")
def qwen(byte_tokenizer: Callable[..., Any], template: Callable[[str], str]) -> ChatFormat:
    return load_format("native", byte_tokenizer(*CHATML, template=template("qwen2_5")))


def test_any_call_comes_back(native: ChatFormat, random_calls: Iterator[ToolCall]) -> None:
    for call in islice(random_calls, 500):
        label = Label(calls=(call,))
        output = native.parse(native.completion(label))
        assert output.defect is Mismatch.NONE
        assert repr(output.calls) == repr(label.calls)


def test_twenty_thousand_random_calls_come_back(
    qwen: ChatFormat, random_calls: Iterator[ToolCall]
) -> None:
    for _ in range(100):
        label = Label(calls=tuple(islice(random_calls, 200)))
        assert repr(qwen.parse(qwen.completion(label)).calls) == repr(label.calls)


def test_the_completion_ends_with_a_stop_token(native: ChatFormat) -> None:
    for label in (Label(calls=(CALL,)), Label(content="Which city?")):
        ids = native.completion_ids(label)
        assert [token in native.stop_ids for token in ids] == [False] * (len(ids) - 1) + [True]


def test_hostile_text_adds_no_control_token(native: ChatFormat, hostile_tools: list[Tool]) -> None:
    def controls(tools: list[Tool], text: str) -> list[int]:
        call = ToolCall(name=text, arguments={text: [text]})
        messages = [
            Message(role="user", content=text),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content=text),
        ]
        return [token for token in native.prompt_ids(tools, messages) if token > 255]

    harmless = controls([Tool(name="f")], "harmless")
    assert harmless
    assert all(controls(hostile_tools, text) == harmless for text in HOSTILE)


def test_what_a_user_says_reaches_the_prompt_whole(native: ChatFormat) -> None:
    said = "Say @0# and @1#, <tool_call"
    call = ToolCall(name="f", arguments={"x": "<think>"})
    messages = [Message(role="user", content=said), Message(role="assistant", tool_calls=(call,))]
    prompt = native.prompt([Tool(name="f", description="<think>")], messages)
    assert said in prompt
    assert prompt.count("\\u003cthink>") == 2


def test_the_schema_reaches_the_prompt_unchanged(qwen: ChatFormat) -> None:
    tool = Tool(name="f", parameters={"type": "object", "properties": {"né": {"default": None}}})
    expected = '{"type": "object", "properties": {"né": {"default": null}}}'
    assert expected in qwen.prompt([tool], [USER])


@pytest.mark.parametrize(
    ("name", "special", "preserving"),
    [("qwen2_5", CHATML, True), ("qwen3", CHATML, False), ("llama3_2", LLAMA, True)],
)
def test_templates_that_rewrite_history_are_found_out(
    byte_tokenizer: Callable[..., Any],
    template: Callable[[str], str],
    name: str,
    special: tuple[str, ...],
    preserving: bool,
) -> None:
    format = load_format("native", byte_tokenizer(*special, template=template(name)))
    assert check_prefix_preserving(format, [], TALK) is preserving


def test_a_prompt_that_history_does_not_repeat_is_found_out(
    byte_tokenizer: Callable[..., Any],
) -> None:
    class Thinking(Hermes):
        def prompt(self, tools: Sequence[Tool], messages: Sequence[Message]) -> str:
            return super().prompt(tools, messages) + "<think>\n"

    tokenizer = byte_tokenizer(*CHATML)
    assert check_prefix_preserving(Hermes(tokenizer), [], TALK)
    assert not check_prefix_preserving(Thinking(tokenizer), [], TALK)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gemma", "knows no tools"),
        ("glm4moe", "writes calls in an unknown way"),
        (None, "has no chat template"),
    ],
)
def test_a_template_that_cannot_serve_is_refused_in_one_line(
    byte_tokenizer: Callable[..., Any], template: Callable[[str], str], name: str | None, what: str
) -> None:
    tokenizer = byte_tokenizer(*CHATML, template=template(name) if name else None)
    with pytest.raises(ValueError, match=what) as caught:
        load_format("native", tokenizer)
    assert str(caught.value).endswith('set format = "hermes"')
    assert "\n" not in str(caught.value)


def test_the_embedded_model_has_no_tool_template(smollm: Any) -> None:
    with pytest.raises(ValueError, match="knows no tools"):
        load_format("native", smollm)


@pytest.mark.parametrize(
    ("text", "calls", "defect"),
    [
        ('{"name": "f", "parameters": {"a": 1}}', 1, Mismatch.NONE),
        ('<|python_tag|>{"name": "f", "parameters": {}}', 1, Mismatch.NONE),
        ('{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}', 2, Mismatch.NONE),
        ('<think>so</think>{"name": "f", "parameters": {}}', 1, Mismatch.NONE),
        ('{"name": "f", "parameters": {"a": "b', 0, Mismatch.TRUNCATED),
        ("<|python_tag|>", 0, Mismatch.TRUNCATED),
        ('{"name": "f", "parameters": {}} as you asked', 1, Mismatch.BAD_JSON),
        ('{"name": "f", "parameters": {a: 1}}', 0, Mismatch.BAD_JSON),
        ('{"name": "f"}', 0, Mismatch.BAD_CALL),
        ('<think>{"name": "f", "parameters": {}}', 0, Mismatch.UNCLOSED_THOUGHT),
        ('```json\n{"name": "f", "parameters": {}}\n```', 0, Mismatch.NONE),
        ('{"temperature": 9}', 0, Mismatch.NONE),
        ("It rains.", 0, Mismatch.NONE),
        ("", 0, Mismatch.NONE),
    ],
)
def test_bare_calls_are_read(text: str, calls: int, defect: Mismatch) -> None:
    output = read_bare(text)
    assert (len(output.calls), output.defect) == (calls, defect)

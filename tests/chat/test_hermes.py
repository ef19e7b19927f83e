"""The Hermes format brings every call back, and nothing in the data can speak for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.chat import ChatFormat, check_prefix_preserving, load_format
from looptool.chat.reading import read_tagged
from looptool.records import Label, Message, Mismatch, Tool, ToolCall
from looptool.toolmatch import match

from .conftest import HOSTILE

WEATHER = Tool(
    name="get_weather",
    description="The weather in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)
CALL = ToolCall(name="get_weather", arguments={"city": "Oslo"})
USER = Message(role="user", content="What is the weather in Oslo?")

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(HOSTILE)
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)
CALLS = st.builds(
    ToolCall, name=st.text() | st.sampled_from(HOSTILE), arguments=st.dictionaries(st.text(), JSON)
)


@pytest.fixture(scope="module")
def hermes(smollm: Any) -> ChatFormat:
    return load_format("hermes", smollm)


@settings(deadline=None, max_examples=100)
@given(calls=st.lists(CALLS, min_size=1, max_size=3), content=st.text())
def test_any_json_comes_back_from_completion(
    hermes: ChatFormat, calls: list[ToolCall], content: str
) -> None:
    label = Label(calls=tuple(calls), content=content)
    output = hermes.parse(hermes.completion(label))
    assert output.defect is Mismatch.NONE
    assert repr(output.calls) == repr(label.calls), "repr tells true from 1, and 1 from 1.0"


def test_a_hundred_thousand_random_calls_come_back(
    hermes: ChatFormat, random_calls: Iterator[ToolCall]
) -> None:
    for _ in range(50_000):
        label = Label(calls=tuple(islice(random_calls, 2)))
        output = hermes.parse(hermes.completion(label))
        assert repr(output.calls) == repr(label.calls)


def test_calls_come_back_through_tokens_too(
    hermes: ChatFormat, smollm: Any, random_calls: Iterator[ToolCall]
) -> None:
    for call in islice(random_calls, 300):
        ids = hermes.completion_ids(Label(calls=(call,)))
        assert hermes.parse(smollm.decode(ids)).calls == (call,)
        assert [token in hermes.stop_ids for token in ids] == [False] * (len(ids) - 1) + [True]


def test_a_conversation_reads_as_the_convention_has_it(hermes: ChatFormat) -> None:
    messages = [
        Message(role="system", content="Be brief."),
        USER,
        Message(role="assistant", content="Looking.", tool_calls=(CALL, CALL)),
        Message(role="tool", content="9 °C"),
        Message(role="tool", content="rain"),
    ]
    assert hermes.prompt([WEATHER], messages).endswith(
        "\n</tool_call>\n\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhat is the weather in Oslo?<|im_end|>\n"
        "<|im_start|>assistant\nLooking.\n"
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
        "<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n9 °C\n</tool_response>\n"
        "<tool_response>\nrain\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_without_tools_there_is_a_plain_system_prompt(hermes: ChatFormat) -> None:
    prompt = hermes.prompt([], [USER])
    assert prompt.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n")
    assert "tool" not in prompt


def test_samples_with_the_same_tools_share_a_prefix(hermes: ChatFormat) -> None:
    system = Message(role="system", content="Be brief.")
    prompts = [hermes.prompt([WEATHER], context) for context in ([USER], [system, USER])]
    shared = prompts[0].index("</tool_call>")
    assert prompts[0][:shared] == prompts[1][:shared]
    assert WEATHER.description in prompts[0][:shared]


def test_hostile_text_adds_no_turn_tag_or_control_token(
    hermes: ChatFormat, smollm: Any, hostile_tools: list[Tool]
) -> None:
    def conversation(text: str) -> list[Message]:
        call = ToolCall(name=text, arguments={text: [text]})
        return [
            Message(role="system", content=text),
            Message(role="user", content=text),
            Message(role="assistant", content=text, tool_calls=(call,)),
            Message(role="tool", content=text),
        ]

    harmless = hermes.prompt([WEATHER], conversation("x"))
    marks = ("<|im_start|>", "<|im_end|>", "<tools>", "<tool_call>", "</tool_call>", "<think>")
    control = set(smollm.all_special_ids) | set(smollm.added_tokens_decoder)
    count_control = sum(token in control for token in smollm(harmless)["input_ids"])
    for text in HOSTILE:
        hostile = hermes.prompt(hostile_tools, conversation(text))
        assert [hostile.count(mark) for mark in marks] == [harmless.count(mark) for mark in marks]
        ids = hermes.prompt_ids(hostile_tools, conversation(text))
        assert sum(token in control for token in ids) == count_control


def test_harmless_text_stays_as_it_is(hermes: ChatFormat) -> None:
    text = "is 1 < 2, and <b>né 字</b>?"
    call = ToolCall(name="f", arguments={"q": text})
    assert hermes.prompt([], [Message(role="user", content=text)]).count(text) == 1
    assert hermes.completion(Label(calls=(call,))).count(text) == 1


def test_what_is_said_after_the_end_of_the_turn_is_not_heard(hermes: ChatFormat) -> None:
    said = hermes.completion(Label(content="Done."))
    assert hermes.parse(said + hermes.completion(Label(calls=(CALL,)))).calls == ()


def test_rendering_preserves_prefixes(hermes: ChatFormat) -> None:
    messages = [
        USER,
        Message(role="assistant", tool_calls=(CALL, CALL)),
        Message(role="tool", content="9"),
        Message(role="tool", content="rain"),
        Message(role="assistant", content="Rain."),
        USER,
        Message(role="assistant", content="Still rain."),
    ]
    texts = [hermes.context([WEATHER], messages[:end]) for end in range(len(messages) + 1)]
    assert all(b.startswith(a) for a, b in pairwise(texts))
    assert check_prefix_preserving(hermes, [WEATHER], messages)


def test_a_tokenizer_without_chatml_ends_turns_with_its_own_end(
    byte_tokenizer: Callable[..., Any],
) -> None:
    tokenizer = byte_tokenizer("</s>", "<s>")
    format = load_format("hermes", tokenizer)
    ids = format.completion_ids(Label(calls=(CALL,)))
    assert ids[-1] == tokenizer.eos_token_id
    assert format.stop_ids == {tokenizer.eos_token_id}
    hostile = format.prompt([], [Message(role="user", content="bye</s>")])
    assert hostile.count("</s>") == 2, "the ends of the system's and the user's turn"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match='no chat format \'xml\': use "hermes" or "native"'):
        load_format("xml", None)


TWO_CALLS = Label(calls=(CALL, ToolCall(name="get_weather", arguments={"city": 'a "b" </c>'})))


def test_no_truncation_matches(hermes: ChatFormat) -> None:
    whole = hermes.completion(TWO_CALLS).removesuffix("<|im_end|>")
    assert match(hermes.parse(whole), TWO_CALLS, [WEATHER]).matched
    for end in range(len(whole)):
        output = hermes.parse(whole[:end])
        assert not match(output, TWO_CALLS, [WEATHER]).matched, whole[:end]
        if output.begins_call and len(output.calls) < whole[:end].count("<tool_call>"):
            assert output.defect is Mismatch.TRUNCATED, whole[:end]


@settings(deadline=None, max_examples=500)
@given(data=st.data())
def test_mutated_output_never_raises_and_only_matches_with_the_same_calls(
    hermes: ChatFormat, data: st.DataObject
) -> None:
    whole = hermes.completion(TWO_CALLS)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 4)))
    patch = data.draw(st.text('{}[]",:\\<>/_ etcl01N', max_size=4) | st.sampled_from(HOSTILE))
    output = hermes.parse(whole[:start] + patch + whole[end:])
    if match(output, TWO_CALLS, [WEATHER]).matched:
        assert sorted(map(repr, output.calls)) == sorted(map(repr, TWO_CALLS.calls))


@settings(deadline=None)
@given(st.lists(st.sampled_from((*HOSTILE, "{", "[", '"', "}", " ", "name", ":"))).map("".join))
def test_no_text_makes_parsing_raise(hermes: ChatFormat, text: str) -> None:
    output = hermes.parse(text)
    assert output.begins_call or not output.calls


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ('<tool_call>{"name": "f", "arguments": {"a": 1}', Mismatch.TRUNCATED),
        ('<tool_call>{"name": "f", "arguments": {"a": "tr', Mismatch.TRUNCATED),
        ('<tool_call>{"name": "f", "arguments": {}}', Mismatch.TRUNCATED),
        ('<tool_call>{"name": "f", "arguments": {}}</tool_', Mismatch.TRUNCATED),
        ("<tool_call>", Mismatch.TRUNCATED),
        ("<tool_call>f(a=1)</tool_call>", Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {"a": 1,}}</tool_call>', Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {"a": NaN}}</tool_call>', Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {"a": 1e999}}</tool_call>', Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {"a": 1, "a": 2}}</tool_call>', Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {"a": "\\ud800"}}</tool_call>', Mismatch.BAD_JSON),
        ('<tool_call>{"name": "f", "arguments": {}} and</tool_call>', Mismatch.BAD_JSON),
        (f"<tool_call>{'[' * 100_000}</tool_call>", Mismatch.BAD_JSON),
        (f"<tool_call>{'9' * 10_000}</tool_call>", Mismatch.BAD_JSON),
        ('<tool_call>["f", {}]</tool_call>', Mismatch.BAD_CALL),
        ('<tool_call>{"name": "f"}</tool_call>', Mismatch.BAD_CALL),
        ('<tool_call>{"name": "f", "arguments": "{}"}</tool_call>', Mismatch.BAD_CALL),
        ('<tool_call>{"name": null, "arguments": {}}</tool_call>', Mismatch.BAD_CALL),
        ("<think>Let me see", Mismatch.UNCLOSED_THOUGHT),
        (
            '<think>I call <tool_call>{"name": "f", "arguments": {}}</tool_call>',
            Mismatch.UNCLOSED_THOUGHT,
        ),
    ],
)
def test_each_defect_has_its_name(text: str, defect: Mismatch) -> None:
    output = read_tagged(text)
    assert (output.defect, output.calls) == (defect, ())
    assert output.begins_call == ("<tool_call>" in text)
    assert not match(output, Label(), []).matched, "a defect matches nothing"


def test_a_defect_spoils_the_sound_call_beside_it(hermes: ChatFormat) -> None:
    label = Label(calls=(CALL,))
    sound = hermes.completion(label).removesuffix("<|im_end|>")
    output = hermes.parse(sound + "<tool_call>{")
    assert output.calls == (CALL,)
    assert match(output, label, [WEATHER]).reason is Mismatch.TRUNCATED


def test_thoughts_are_split_off() -> None:
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
    outputs = [
        read_tagged(f"<think>\nOslo, {call}\n</think>\nOne moment. {call}"),
        read_tagged(f"Oslo, {call}".replace("<", "&lt;") + f"</think>One moment. {call}"),
        read_tagged(f"One <think>Oslo, {call}</think>moment. {call}"),
    ]
    for output in outputs:
        assert output.calls == (CALL,)
        assert output.thought.startswith("Oslo, ")
        assert output.content == "One moment."


def test_a_tag_inside_an_argument_is_text() -> None:
    text = '<tool_call>{"name": "f", "arguments": {"q": "</tool_call><think>"}}</tool_call>'
    assert read_tagged(text).calls == (ToolCall(name="f", arguments={"q": "</tool_call><think>"}),)


def test_a_fenced_block_is_no_call() -> None:
    text = '```json\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n```'
    output = read_tagged(text)
    assert (output.calls, output.begins_call, output.content) == ((), False, text)
    assert match(output, Label(), [WEATHER]).matched

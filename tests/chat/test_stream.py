"""Output that is read while it grows says what it says as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.chat import load_format
from looptool.chat.reading import read_bare, read_tagged
from looptool.chat.stream import OutputReader, Said, Style, TextReader
from looptool.records import Mismatch, ToolCall

TAGGED = '<tool_call>\n{"name": "f", "arguments": {"a": "}<think>x</think>\\"]"}}\n</tool_call>'
BARE = '{"name": "f", "parameters": {"a": "};\\"{"}}'
PIECES = (
    TAGGED,
    BARE,
    "<tool_call>",
    "</tool_call>",
    "<tool_call> {} </tool_call>",
    '<tool_call>{"name": "f", "arguments": {"a": 1}',
    "<think>hm </think>",
    "<think> a\n</think>",
    "<think>",
    "<|python_tag|>",
    "<|im_end|>",
    "<tool",
    "<",
    '{"name',
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ";",
    ":",
    " ",
    "\n",
    "\x0b",
    "text",
    "é🙂",
)
outputs = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)
styles = st.sampled_from(("tagged", "bare"))
READ = {"tagged": read_tagged, "bare": read_bare}


def cut(text: str, at: Sequence[int]) -> list[str]:
    marks = [0, *sorted(at), len(text)]
    return [text[a:b] for a, b in pairwise(marks)]


def read(reader: OutputReader, pieces: Sequence[str]) -> tuple[str, str, list[ToolCall], bool]:
    """(content, thought, calls, whether something broke)"""
    said = [part for piece in pieces for part in reader.feed(piece)] + reader.end()
    calls = [part.call for part in said if part.call]
    joined = "".join(part.content for part in said), "".join(part.thought for part in said)
    return (*joined, calls, reader.broken)


@settings(deadline=None, max_examples=200)
@given(st.data(), outputs, styles)
def test_however_it_is_cut_it_says_the_same(data: st.DataObject, text: str, style: Style) -> None:
    stops = data.draw(st.lists(st.sampled_from(("<|im_end|>", "text", "xt", "t<", "")), max_size=3))
    thinking, calls = data.draw(st.booleans()), data.draw(st.booleans())
    text += data.draw(st.sampled_from(("", "</think>", "</think>text")))

    def reader() -> OutputReader:
        return OutputReader(style, stops, calls=calls, thinking=thinking)

    at = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    assert read(reader(), [text]) == read(reader(), cut(text, at)) == read(reader(), list(text))


@settings(deadline=None, max_examples=300)
@given(outputs, styles)
def test_it_says_what_the_reader_of_whole_outputs_reads(text: str, style: Style) -> None:
    content, thought, calls, broken = read(OutputReader(style, ()), list(text))
    whole = READ[style](text)
    assert calls == list(whole.calls)
    assert broken == (whole.defect is not Mismatch.NONE)
    if not broken:
        assert (content, thought) == (whole.content, whole.thought)


def one_at_a_time(reader: OutputReader, text: str) -> list[tuple[str, Said]]:
    """What is said, and the last character that was needed for it."""
    return [(character, said) for character in text for said in reader.feed(character)]


def test_text_is_said_as_it_comes_and_a_call_with_its_last_character() -> None:
    said = one_at_a_time(OutputReader("tagged", ()), f"a <b>\n{TAGGED}")
    assert "".join(part.content for _, part in said) == "a <b>"
    assert said[0] == ("a", Said(content="a"))
    assert said[1] == ("b", Said(content=" <b")), "held back while it might have been a tag"
    assert said[-1][0] == ">" and said[-1][1].call


def test_without_repeats_a_call_is_said_once_however_its_arguments_are_ordered() -> None:
    texts = ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a": true, "b": 2}', '{"a": 1, "b": 2}')
    output = "".join(
        f'<tool_call>\n{{"name": "f", "arguments": {arguments}}}\n</tool_call>\n'
        for arguments in texts
    )
    first, true = (ToolCall(name="f", arguments={"a": a, "b": 2}) for a in (1, True))
    every = [first, first, true, first]
    assert [said.call for said in OutputReader("tagged", ()).feed(output)] == every
    once = OutputReader("tagged", (), repeats=False).feed(output)
    assert [repr(said.call) for said in once] == [repr(first), repr(true)], "1 is not true"


def test_bare_calls_are_said_with_their_last_bracket() -> None:
    said = one_at_a_time(OutputReader("bare", ()), f"<|python_tag|>{BARE}; {BARE}")
    assert [(at, bool(part.call)) for at, part in said] == [("}", True), ("}", True)]


def test_json_that_is_no_call_is_said_as_it_comes() -> None:
    reader = OutputReader("bare", ())
    assert reader.feed('{"nam') == []
    assert reader.feed('ing": ') == [Said(content='{"naming":')]


def test_a_call_that_breaks_is_text_and_those_before_it_stand() -> None:
    broken = '<tool_call>{"name": "f", "arg</tool_call> and <think>so on'
    content, thought, calls, defect = read(OutputReader("tagged", ()), [f"Hi. {TAGGED} {broken}"])
    assert (content, thought, len(calls), defect) == (f"Hi.  {broken}", "", 1, True)


def test_a_thought_that_the_prompt_began_is_a_thought_from_its_first_token() -> None:
    reader = OutputReader("tagged", (), thinking=True)
    assert reader.feed("so ") == [Said(thought="so")]
    assert reader.feed("be it </think>\n\nYes") == [Said(thought=" be it"), Said(content="Yes")]


def test_the_end_of_a_thought_that_never_began_is_left_out() -> None:
    assert read(OutputReader("tagged", ()), ["a</think>b"]) == ("ab", "", [], False)


def test_without_tools_calls_are_text_and_thoughts_are_thoughts() -> None:
    reader = OutputReader("tagged", (), calls=False)
    assert read(reader, [f"<think>hm</think>{TAGGED}"])[:2] == (
        TAGGED.replace("<think>x</think>", ""), "hm\nx"
    )  # fmt: skip


def test_a_stop_string_ends_the_output_where_one_is_first_complete() -> None:
    reader = OutputReader("tagged", ("bcd", "c", "yz"))
    assert reader.feed("xy") == [Said(content="x")]
    assert reader.feed("bcd") == [Said(content="yb")]
    assert reader.over and reader.feed("more") == reader.end() == []


@pytest.mark.parametrize("name", ["llama3_2", "qwen3"])
def test_a_native_format_s_reader_reads_what_its_template_writes(
    name: str, byte_tokenizer: Callable[..., Any], template: Callable[[str], str]
) -> None:
    special = ("<|eot_id|>",) if name == "llama3_2" else ("<|im_end|>", "<|im_start|>")
    native = load_format("native", byte_tokenizer(*special, template=template(name)))
    arguments: Any = {"a": [1, {"b": "</tool_call>"}]}
    written = json.dumps({"name": "f", "parameters": arguments})
    if name == "qwen3":
        written = written.replace("parameters", "arguments")
        written = f"<tool_call>\n{written}\n</tool_call>"
    pieces = [*written, special[0], "and more"]
    calls = [ToolCall(name="f", arguments=arguments)]
    assert read(native.reader([]), pieces) == ("", "", calls, False)


def test_a_prompt_that_begins_a_thought_is_known_by_its_end(
    byte_tokenizer: Callable[..., Any], template: Callable[[str], str]
) -> None:
    tokenizer = byte_tokenizer("<|im_end|>", "<|im_start|>", "<think>", template=template("qwen3"))
    native = load_format("native", tokenizer)
    begun, closed = (tokenizer(text)["input_ids"] for text in ("a<think>\n", "<think>a"))
    assert read(native.reader(begun), ["b"])[:2] == ("", "b")
    assert read(native.reader(closed), ["b"])[:2] == ("b", "")


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_tokens_one_at_a_time_read_as_together_and_characters_stay_whole(
    data: st.DataObject, tiny_tokenizer: Any
) -> None:
    def decode(ids: Sequence[int]) -> str:
        return str(tiny_tokenizer.decode(ids, clean_up_tokenization_spaces=False))

    texts = data.draw(st.lists(st.text(max_size=6) | st.sampled_from(PIECES), max_size=6))
    ids = tiny_tokenizer("".join(texts), add_special_tokens=False)["input_ids"]
    reader = TextReader(decode)
    parts = [reader.feed(token) for token in ids]
    assert "".join(parts) + reader.end() == decode(ids)
    assert "\ufffd" in "".join(texts) or not any("\ufffd" in part for part in parts)
    noise = data.draw(st.lists(st.integers(0, len(tiny_tokenizer) - 1), max_size=20))
    reader = TextReader(decode)
    assert "".join(map(reader.feed, noise)) + reader.end() == decode(noise)

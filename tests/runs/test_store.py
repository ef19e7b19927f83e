from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.errors import UserError
from looptool.records import (
    Label,
    LabelEdit,
    Match,
    Message,
    Mismatch,
    Origin,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.runs.store import Journal, read_records, write_atomic, write_records

TOOLS = [
    Tool(
        name=f"tool_{n}",
        description="Ünïcode 😀 \u2028 \x00",
        parameters={"type": "object", "n": n},
    )
    for n in range(3)
]


def sample(number: int) -> Sample:
    tools = (TOOLS[number % 3], TOOLS[(number + 1) % 3])
    call = ToolCall(name="tool_0", arguments={"n": number, "big": 2**70, "none": None, "x": 1.0})
    return Sample.create(
        tools, (Message(role="user", content=f"{number} 😀\n"),), Label(calls=(call,)),
        Scenario.SINGLE,
    )  # fmt: skip


def probe(perplexity: float) -> ProbeResult:
    return ProbeResult(
        sample_id="a",
        checkpoint="base",
        output="",
        parsed=ParsedOutput(),
        match=Match(matched=False, reason=Mismatch.MISSING_CALL),
        perplexity=perplexity,
        num_tokens=1,
    )


def test_a_file_of_records_whose_end_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    write_records(path, [sample(n) for n in range(3)])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="it ends in the middle of a line"):
        read_records(path, Sample)


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "data.jsonl"
    samples = [sample(n) for n in range(20)]
    edit = LabelEdit(
        old=samples[0].label, new=Label(content="no"), verdict=Verdict.LABEL_WRONG, reason="why",
        judge="me", round=3,
    )  # fmt: skip
    samples[0] = samples[0].corrected(edit).moved(Origin.ERROR_SEED, 4)
    write_records(path, samples)
    assert read_records(path, Sample) == samples


def test_a_tool_is_written_once_a_file_and_keeps_its_own_keys(tmp_path: Path) -> None:
    tool = Tool.model_validate({"name": "f", "strict": True, "x-own": {"a": [1, None]}})
    samples = [Sample.create((tool,), (), Label(content=str(n)), Scenario.CHAT) for n in range(50)]
    write_records(tmp_path / "data.jsonl", samples)
    text = (tmp_path / "data.jsonl").read_text("utf-8")
    assert text.count("x-own") == 1
    [back] = {s.tools[0].hash() for s in read_records(tmp_path / "data.jsonl", Sample)}
    assert back == tool.hash()
    first = read_records(tmp_path / "data.jsonl", Sample)[0].tools[0].as_function()
    assert first == {"name": "f", "strict": True, "x-own": {"a": [1, None]}}


def test_each_file_stands_alone(tmp_path: Path) -> None:
    write_records(tmp_path / "a.jsonl", [sample(0)])
    write_records(tmp_path / "b.jsonl", [sample(0)])
    (tmp_path / "a.jsonl").unlink()
    assert read_records(tmp_path / "b.jsonl", Sample) == [sample(0)]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e308])
def test_a_perplexity_beyond_all_measure_is_kept(tmp_path: Path, value: float) -> None:
    write_records(tmp_path / "data.jsonl", [probe(value)])
    with Journal(tmp_path / "journal.jsonl", ProbeResult) as journal:
        journal.append("a", probe(value))
    with Journal(tmp_path / "journal.jsonl", ProbeResult) as journal:
        found = [*read_records(tmp_path / "data.jsonl", ProbeResult), journal.done["a"]]
    assert [repr(one.perplexity) for one in found] == [repr(value)] * 2


def test_a_journal_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for number in range(3):
        with Journal(path, Sample) as journal:
            assert list(journal.done) == [str(n) for n in range(number)]
            journal.append(str(number), sample(number))
    with Journal(path, Sample) as journal:
        assert journal.done == {str(n): sample(n) for n in range(3)}
    assert path.read_bytes().count(b'{"tool"') == 3


def test_a_journal_cut_off_at_any_byte_owes_only_what_was_cut(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    with Journal(whole, Sample) as journal:
        for number in range(2):
            journal.append(str(number), sample(number))
    data = whole.read_bytes()
    lines = data.splitlines(keepends=True)
    ends = {
        json.loads(line)["key"]: sum(map(len, lines[: n + 1]))
        for n, line in enumerate(lines)
        if line.startswith(b'{"key"')
    }
    for cut in range(len(data) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(data[:cut])
        with Journal(path, Sample) as journal:
            assert list(journal.done) == [key for key, end in ends.items() if end <= cut]
            for number in range(2):
                if str(number) not in journal.done:
                    journal.append(str(number), sample(number))
        with Journal(path, Sample) as journal:
            assert journal.done == {str(n): sample(n) for n in range(2)}
        assert path.read_bytes().endswith(b"\n")


def test_what_is_appended_is_there_at_once_for_another_reader(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, Sample) as journal:
        journal.append("a", sample(1))
        with Journal(path, Sample) as other:
            assert other.done == {"a": sample(1)}


@pytest.mark.parametrize(
    "line", [b"{}\n", b"not json\n", b"\x00\x00\n", b'{"tool": "x"}\n', b'{"id": "lonely"}\n']
)
def test_damage_that_is_no_torn_end_names_the_file_and_the_mend(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "data.jsonl"
    write_records(path, [sample(0)])
    path.write_bytes(line + path.read_bytes())
    with pytest.raises(UserError, match=r"data\.jsonl is damaged .* remove it") as caught:
        read_records(path, Sample)
    assert "\n" not in str(caught.value)


def test_a_reference_to_a_tool_that_is_not_there_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    write_records(path, [sample(0)])
    kept = [line for line in path.read_bytes().splitlines(True) if not line.startswith(b'{"tool"')]
    path.write_bytes(b"".join(kept))
    with pytest.raises(UserError, match="is damaged"):
        read_records(path, Sample)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    write_records(path, [sample(0)])

    def failing() -> Iterator[Sample]:
        yield sample(1)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        write_records(path, failing())
    assert read_records(path, Sample) == [sample(0)]


def test_an_atomic_write_replaces_all_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_atomic(path, b"a long first text")
    write_atomic(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from looptool.records import (
    Judgement,
    Label,
    Match,
    Message,
    Mismatch,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.report import page
from looptool.report.page import inert_json, write_report
from looptool.runs.paths import Paths
from looptool.runs.store import read_records, write_records

STOPS = ["config", "seed", "warm-start", "round-1/train", "round-1/measure", "round-1/probe",
         "round-1/verify", "round-1/expand", "round-1/merge"]  # fmt: skip
HOSTILE = (
    "</script><script>globalThis.ran = 1</script>",
    "<img src=x onerror='globalThis.ran = 1'>",
    "<!--<script>",
    "]]>\u2028\u2029\x00\x1b[31m",
    "{{script}} {{data}}",
    "javascript:globalThis.ran=1",
    '" onmouseover="globalThis.ran=1" x=\'',
    "&lt;b&gt;",
)


def embedded(paths: Paths) -> Any:
    """The data that a browser would read out of the page."""
    text = paths.report.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.fixture
def hostile(build: Callable[..., Paths]) -> Paths:
    """A run in which whatever a tool, a model or a judge can write is an attack."""
    paths = build(rounds=1, size=40, until="round-1/verify")
    samples = []
    for number, text in enumerate(HOSTILE):
        tool = Tool(
            name=text,
            description=text,
            parameters={"type": "object", "properties": {text: {"type": "string", "x": text}}},
        )
        samples.append(
            Sample.create(
                (tool,),
                (Message(role="user", content=f"{number} {text}"), Message(role="tool", name=text)),
                Label(calls=(ToolCall(name=text, arguments={text: text}),)),
                Scenario.SINGLE,
                domain=text,
            )
        )
    dataset = [*samples, *read_records(paths.value("seed/train"), Sample)]
    write_records(paths.value("seed/train"), dataset)
    probes = [
        ProbeResult(
            sample_id=sample.id,
            checkpoint=text,
            output=text * 3,
            parsed=ParsedOutput(),
            match=Match(matched=False, reason=Mismatch.MISSING_CALL, detail=text),
            perplexity=float("nan"),
            num_tokens=3,
        )
        for sample, text in zip(samples, HOSTILE, strict=True)
    ]
    write_records(paths.value("round-1/probes"), probes)
    judgements = [
        Judgement(
            sample_id=sample.id,
            verdict=Verdict.LABEL_WRONG,
            error_analysis=text,
            correct_approach=text,
            judge=text,
        )
        for sample, text in zip(samples, HOSTILE, strict=True)
    ]
    write_records(paths.value("round-1/judgements"), judgements)
    return paths


def test_bill_calibration_and_kept_out_exams_are_on_the_page(build: Callable[..., Paths]) -> None:
    write_report(paths := build(size=40))
    data = embedded(paths)
    assert data["bill"]["rows"][-1] == [
        "all", {"calls": 50, "prompt_tokens": 61_000, "completion_tokens": 5_000, "cost": 0.3},
    ]  # fmt: skip
    assert [row[0] for row in data["bill"]["rows"]] == ["judge", "user", "all"]
    assert data["bill"]["unusable"] == [
        ["user", {"answers": 3, "lost": 1, "faults": {"person_says": 3}}],
    ]
    assert "against BFCL v3" in dict(data["facts"])["exams kept out"]
    assert data["calibration"]["judge"] == "offline rules" and data["calibration"]["rows"]


def test_the_page_asks_for_nothing_outside_itself(build: Callable[..., Paths]) -> None:
    paths = build()
    write_report(paths)
    tags = Tags(paths.report.read_text("utf-8")).seen
    linked = [attrs[key] for _, attrs in tags for key in ("src", "href") if attrs.get(key)]
    assert set(linked) == {"data:,", "#samples"}
    assert "http://" not in re.sub(r"http://www\.w3\.org/2000/svg", "", page.page("x", {}))


def test_its_policy_allows_only_its_own_script_and_style(build: Callable[..., Paths]) -> None:
    paths = build(until="seed", size=40)
    write_report(paths)
    [policy] = [
        attrs["content"]
        for tag, attrs in Tags(paths.report.read_text("utf-8")).seen
        if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_what_is_data_opens_no_tag(hostile: Paths, build: Callable[..., Paths]) -> None:
    write_report(hostile)
    tags = [tag for tag, _ in Tags(hostile.report.read_text("utf-8")).seen]
    assert tags.count("script") == 2 and "img" not in tags
    names = {name for name, _ in embedded(hostile)["browser"]["tools"]}
    assert names >= set(HOSTILE), "and it arrives as it was"


@pytest.mark.parametrize("text", HOSTILE)
def test_inert_json_reads_back_as_it_was(text: str) -> None:
    written = inert_json({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text]}


def test_a_number_that_json_does_not_know_becomes_null() -> None:
    assert json.loads(inert_json([float("nan"), float("inf"), 1.5])) == [None, None, 1.5]


@pytest.mark.parametrize("until", STOPS)
def test_an_unfinished_run_has_a_page(build: Callable[..., Paths], until: str) -> None:
    paths = build(until=until, size=40)
    write_report(paths)
    data = embedded(paths)
    assert data["state"].startswith("unfinished")
    assert len(data["rounds"]) == until.startswith("round-1")
    assert bool(data["browser"]["samples"]) == (until != "config")


def test_a_run_is_finished_when_its_last_round_is_merged(build: Callable[..., Paths]) -> None:
    for until, state in (("round-2/measure", "unfinished: 1 of 2"), ("round-2/merge", "2 rounds,")):
        paths = build(until=until, size=40)
        write_report(paths)
        assert embedded(paths)["state"].startswith(state)


def test_figures_are_those_of_the_run(build: Callable[..., Paths]) -> None:
    paths = build()
    write_report(paths)
    data = embedded(paths)
    assert data["state"] == "2 rounds, finished"
    assert [one["name"] for one in data["checkpoints"]] == [
        "base",
        "warm-start",
        "round-1",
        "round-2",
    ]
    first = data["rounds"][0]
    assert first["mastered"] + first["failed"] == first["size"] == sum(first["origins"].values())
    assert sum(first["verdicts"].values()) == first["failed"] == sum(first["mismatches"].values())
    assert len(first["steps"]) == 40
    assert data["edits"]["total"] == sum(one["corrected"] for one in data["rounds"])
    assert data["calibration"]["rows"] and data["noise"]["rows"]


def test_the_same_run_gives_the_same_page(build: Callable[..., Paths]) -> None:
    paths = build(size=40)
    write_report(paths)
    first = paths.report.read_bytes()
    write_report(paths)
    assert paths.report.read_bytes() == first


def test_an_edit_is_shown_as_a_diff(build: Callable[..., Paths]) -> None:
    paths = build()
    write_report(paths)
    edits = embedded(paths)["edits"]["shown"]
    edit = next(edit for edit in edits if edit["right"])
    assert {tag for tag, _ in edit["diff"]} >= {"-", "+"} or {tag for tag, _ in edit["diff"]} >= {
        " "
    }
    assert edit["judge"] and edit["reason"] and edit["round"] == 1


def test_lineage_leads_both_ways(build: Callable[..., Paths]) -> None:
    paths = build()
    write_report(paths)
    samples = {sample["id"]: sample for sample in embedded(paths)["browser"]["samples"]}
    children = [sample for sample in samples.values() if sample["parents"]]
    assert children
    for child in children:
        assert child["id"] in samples[child["parents"][0]]["children"]


def test_large_integers_stay_exact(build: Callable[..., Paths]) -> None:
    paths = build(until="seed", size=40)
    big = 2**63 + 1
    label = Label(calls=(ToolCall(name="f", arguments={"n": big}),))
    write_records(paths.value("seed/train"), [Sample.create((), (), label, Scenario.SINGLE)])
    write_report(paths)
    assert str(big) in embedded(paths)["browser"]["samples"][0]["label"]


def test_a_big_run_shows_its_telling_samples_and_says_how_many_it_leaves_out(
    build: Callable[..., Paths], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = build()
    write_report(paths)
    everything = embedded(paths)["browser"]["samples"]
    telling = {sample["id"] for sample in everything if sample["edits"] or sample["planted"]}
    monkeypatch.setattr(page, "MAX_SAMPLES", 150_000)
    write_report(paths)
    browser = embedded(paths)["browser"]
    shown = {sample["id"] for sample in browser["samples"]}
    assert browser["total"] == len(everything) > len(shown)
    assert telling < shown
    assert len(json.dumps(browser)) < 170_000


def test_a_long_text_is_cut_and_says_so(build: Callable[..., Paths]) -> None:
    paths = build(until="seed", size=40)
    context = (Message(role="user", content="a" * 50_000),)
    write_records(paths.value("seed/train"), [Sample.create((), context, Label(), Scenario.CHAT)])
    write_report(paths)
    text = embedded(paths)["browser"]["samples"][0]["context"][0]["text"]
    assert text.endswith("… (46000 more characters)")


def test_half_a_surrogate_does_not_break_the_page() -> None:
    assert page.page("x", {"text": "\ud800"}).encode("utf-8", "replace")


def test_every_slot_of_the_template_is_filled() -> None:
    text = page.page("a <b>", {})
    assert "{{" not in text
    assert "<title>a &lt;b&gt;" in text

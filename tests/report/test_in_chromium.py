"""The page as a browser sees it. Needs a Chromium on the PATH; `.ci/run` installs one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from looptool.records import Label, Message, Sample, Scenario, Tool, ToolCall
from looptool.report.page import write_report
from looptool.runs.paths import Paths
from looptool.runs.store import read_records, write_records


def _load(name: str) -> Any:
    """A module that stands beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chromium = _load("chromium")
pytestmark = pytest.mark.skipif(
    chromium.find_chromium() is None, reason="no Chromium found; install it to test the report"
)
ATTACKS = (
    "</script><script>globalThis.ran = 1</script>",
    "<img src=x onerror='globalThis.ran = 1'>",
    '" onfocus="globalThis.ran=1" autofocus x=\'',
    "<!--<script>",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium.Chromium(chromium.find_chromium(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def tab(browser: Any) -> Any:
    browser.complaints.clear()
    browser.requests.clear()
    return browser


def opened(tab: Any, paths: Paths, fragment: str = "", **rest: Any) -> Any:
    write_report(paths)
    tab.open(f"{paths.report.as_uri()}{fragment}", **rest)
    return tab


def attacked(paths: Paths) -> list[str]:
    """Puts samples into the run whose every text is an attack; their ids."""
    made = []
    for text in ATTACKS:
        tool = Tool(name=text, description=text, parameters={"properties": {text: {"title": text}}})
        context = (
            Message(role="user", content=text),
            Message(role="tool", name=text, content=text),
        )
        label = Label(calls=(ToolCall(name=text, arguments={text: text}),))
        made.append(Sample.create((tool,), context, label, Scenario.SINGLE, domain=text))
    path = paths.value("seed/train")
    write_records(path, [*made, *read_records(path, Sample)])
    return [sample.id for sample in made]


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_opens_without_a_word_in_the_console(
    build: Callable[..., Paths], tab: Any, width: int, dark: bool
) -> None:
    paths = build(size=80)
    opened(tab, paths, width=width, dark=dark)
    assert tab.run("[...document.querySelectorAll('main > section')].map(s => s.id)") == [
        "accuracy", "rounds", "training", "labels", "mismatches", "samples", "about",
    ]  # fmt: skip
    assert tab.run("document.querySelectorAll('.chart svg').length") == 13
    assert tab.complaints == []
    assert tab.requests == [paths.report.as_uri()]
    assert tab.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "until", ["config", "seed", "warm-start", "round-1/train", "round-1/merge"]
)
def test_an_unfinished_run_opens_as_quietly(
    build: Callable[..., Paths], tab: Any, until: str
) -> None:
    opened(tab, build(until=until, size=40))
    assert tab.complaints == []


def test_hostile_texts_are_shown_and_do_not_run(build: Callable[..., Paths], tab: Any) -> None:
    paths = build(until="seed", size=40)
    for number, text in zip(attacked(paths), ATTACKS, strict=True):
        opened(tab, paths, f"#sample-{number}")
        tab.until("document.querySelector('dialog[open]')")
        assert text in tab.run("document.querySelector('dialog').textContent")
        assert tab.run("document.querySelectorAll('img, dialog script').length") == 0
    assert tab.run("globalThis.ran") is None
    assert tab.complaints == []


def test_what_got_past_all_else_the_policy_would_stop(
    build: Callable[..., Paths], tab: Any
) -> None:
    opened(tab, build(until="seed", size=40))
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"ran = 1\">')")
    tab.until("document.querySelector('img')")
    script = "const s = document.createElement('script'); s.textContent = 'ran = 1'; "
    tab.run(f"{{ {script} document.body.append(s); }}")
    assert tab.run("globalThis.ran") is None
    assert any("Content Security Policy" in line for line in tab.complaints)


def test_search_and_filters_narrow_the_samples(build: Callable[..., Paths], tab: Any) -> None:
    opened(tab, build(size=80))
    count = "Number(document.querySelector('#samples [role=status]').textContent.split(' ')[0])"
    every = tab.run(count)
    tab.run("document.getElementById('filter-status').focus()")
    pick = "{{ const s = document.getElementById('filter-{0}'); s.value = '{1}'; "
    pick += "s.dispatchEvent(new Event('change')); }}"
    tab.run(pick.format("status", "corrected"))
    corrected = tab.run(count)
    assert 0 < corrected < every
    tab.run(pick.format("status", ""))
    tab.run("document.getElementById('search').focus()")
    tab.write("oslo get_forecast")
    tab.until(f"{count} < {every}")
    assert 0 < tab.run(count) < every
    shown = "[...document.querySelectorAll('.sample .asked')].map(s => s.textContent)"
    assert any("Oslo" in asked for asked in tab.run(shown))


def test_a_sample_opens_and_closes_by_keyboard(build: Callable[..., Paths], tab: Any) -> None:
    opened(tab, build(size=80))
    tab.run("document.querySelector('.sample').focus()")
    tab.press("Enter", "\r")
    tab.until("document.querySelector('dialog[open]')")
    assert tab.run("location.hash").startswith("#sample-")
    assert tab.run("document.querySelector('dialog').contains(document.activeElement)")
    tab.press("Escape")
    tab.until("!document.querySelector('dialog[open]')")
    assert tab.run("document.activeElement.className") == "sample"
    assert tab.run("location.hash") == ""


def test_lineage_leads_from_child_to_parent(build: Callable[..., Paths], tab: Any) -> None:
    paths = build(size=80)
    child = next(
        sample for sample in read_records(paths.value("round-1/dataset"), Sample) if sample.parents
    )
    opened(tab, paths, f"#sample-{child.id}")
    tab.until("document.querySelector('dialog[open]')")
    tab.run("document.querySelector('dialog .link').click()")
    assert tab.run("location.hash") == f"#sample-{child.parents[0]}"
    assert child.id in tab.run("document.querySelector('dialog').textContent")
    assert tab.complaints == []

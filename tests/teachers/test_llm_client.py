"""The client against an endpoint that fails in every way."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from looptool.config import LlmTeacherConfig
from looptool.errors import UserError
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.calls import Answer, Ask, StoppedError, UnusableError, split_thought
from looptool.teachers.llm.client import Client

from .scripted_server import QUICK, Body, Script, Server


def echo(body: Body) -> str:
    return json.dumps({"message": body["messages"][-1]["content"][::-1]})


def ask(text: str, sample: int = 0, schema: dict[str, Any] | None = None) -> Ask:
    chat = ({"role": "user", "content": text},)
    return Ask("user", "m", chat, schema, temperature=0.0, max_tokens=64, sample=sample)


def client_of(url: str, folder: Path, **config: Any) -> Client:
    settings = LlmTeacherConfig(base_url=url, model="m", **config)
    return Client(settings, CallCache(folder / "calls.sqlite"), backoff=0.005)


def complete(client: Client, asks: list[Ask]) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        return await asyncio.gather(*map(client.complete, asks))

    return asyncio.run(all_of_them())


def fails_with(client: Client, one: Ask) -> str:
    with pytest.raises(UserError) as caught:
        complete(client, [one])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_faults_change_neither_the_answers_nor_what_is_paid(tmp_path: Path) -> None:
    asks = [ask(f"question {number}") for number in range(300)]
    with Server(Script(model=echo, fault_rate=0.3, faults=QUICK)) as server:
        client = client_of(server.url, tmp_path)
        answers = complete(client, asks)
        assert [a.text for a in answers] == [echo({"messages": one.chat}) for one in asks]
        assert set(server.seen.paid.values()) == {1} and len(server.seen.paid) == len(asks)
        assert set(server.seen.faults) == set(QUICK)
        assert sum(server.seen.faults.values()) > 0.25 * len(asks)


def test_calls_that_take_too_long_are_made_again(tmp_path: Path) -> None:
    asks = [ask(str(number)) for number in range(10)]
    with Server(Script(model=echo, fault_rate=0.5, faults=("slow",))) as server:
        answers = complete(client_of(server.url, tmp_path, timeout=1), asks)
        assert [a.text for a in answers] == [echo({"messages": one.chat}) for one in asks]
        assert server.seen.faults["slow"] > 0 and set(server.seen.paid.values()) == {1}


def test_a_rerun_pays_nothing_in_any_event_loop(tmp_path: Path) -> None:
    with Server(Script(model=echo)) as server:
        client = client_of(server.url, tmp_path)
        asks = [ask(str(number)) for number in range(5)]
        first = complete(client, asks)
        assert complete(client, asks) == first
        complete(client, [ask("one more")])
        assert complete(client_of(server.url, tmp_path), asks) == first
        assert sum(server.seen.paid.values()) == 6


def test_equal_calls_under_way_at_once_are_one(tmp_path: Path) -> None:
    with Server(Script(model=echo, latency=0.05)) as server:
        client = client_of(server.url, tmp_path)
        answers = complete(client, [ask("same")] * 40 + [ask("same", sample=1)])
        assert len({a.text for a in answers}) == 1
        assert sum(server.seen.paid.values()) == 2
        assert client.ledger.total.calls == 2


def test_no_more_calls_than_allowed_are_in_flight(tmp_path: Path) -> None:
    with Server(Script(model=echo, latency=0.01, limit=8)) as server:
        client = client_of(server.url, tmp_path, concurrency=8)
        complete(client, [ask(str(number)) for number in range(100)])
        assert server.seen.most == 8
        assert set(server.seen.attempts.values()) == {1}


def test_retry_after_holds_for_all_calls(tmp_path: Path) -> None:
    came: list[float] = []

    def refuse_first(body: Body, key: str) -> tuple[int, str] | None:
        came.append(time.monotonic())
        return (429, "wait") if len(came) == 1 else None

    script = Script(model=echo, refuse=refuse_first, retry_after="0.3")
    with Server(script) as server:
        client = client_of(server.url, tmp_path, concurrency=1)
        complete(client, [ask(str(number)) for number in range(3)])
    assert len(came) == 4 and came[1] - came[0] >= 0.3


def test_a_wait_that_is_too_long_is_left_to_the_user(tmp_path: Path) -> None:
    script = Script(refuse=lambda body, key: (429, "come back"), retry_after="7200")
    with Server(script) as server:
        assert "wait 7200 s" in fails_with(client_of(server.url, tmp_path), ask("hi"))


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize(
    ("formats", "asked"),
    [
        (("json_schema",), ["json_schema"]),
        (("json_object",), ["json_schema", "json_object"]),
        ((), ["json_schema", "json_object", "json_object", None]),
    ],
)
def test_the_way_to_ask_for_json_is_found_out_once(
    tmp_path: Path, status: int, formats: tuple[str, ...], asked: list[str | None]
) -> None:
    tried: list[str | None] = []

    def note(body: Body, key: str) -> None:
        tried.append(body.get("response_format", {}).get("type"))

    with Server(Script(model=echo, formats=formats, refusal=status, refuse=note)) as server:
        client = client_of(server.url, tmp_path)
        complete(client, [ask("one", schema={"type": "object"})])
        assert tried == asked
        complete(client, [ask("two", schema={"type": "object"})])
        assert tried == [*asked, asked[-1]]


def test_parameters_that_an_endpoint_refuses_are_left_out(tmp_path: Path) -> None:
    def refuse(body: Body, key: str) -> tuple[int, str] | None:
        if "max_tokens" in body:
            return 400, "Use 'max_completion_tokens' instead."
        return (400, "Unsupported parameter: 'seed'") if "seed" in body else None

    with Server(Script(model=echo, refuse=refuse)) as server:
        complete(client_of(server.url, tmp_path), [ask("hi")])
        assert server.seen.bodies[-1].keys() == {
            "model", "messages", "temperature", "max_completion_tokens"
        }  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>hm</think>\n\nyes"},
        {"content": "hm</think>yes"},
        {"content": "yes", "reasoning_content": "hm"},
        {"content": "yes", "reasoning": "hm"},
    ],
)
def test_thoughts_are_split_off(tmp_path: Path, message: Body) -> None:
    with Server(Script(dress=lambda text: message)) as server:
        (answer,) = complete(client_of(server.url, tmp_path), [ask("well?")])
        assert (answer.text, answer.thought) == ("yes", "hm")


def test_thoughts_are_split_off_in_linear_time() -> None:
    start = time.process_time()
    assert split_thought("\n" * 200_000 + "yes") == ("", "yes")
    assert split_thought(" " * 200_000 + "<think>hm") == ("hm", "")
    assert time.process_time() - start < 1


def test_an_answer_that_is_always_cut_costs_the_item_not_the_run(tmp_path: Path) -> None:
    with Server(Script(dress=lambda text: {"content": "<think>and on and on"})) as server:
        client = client_of(server.url, tmp_path)
        with pytest.raises(UnusableError):
            complete(client, [ask("well?")])
        assert client.ledger.total.calls == 3


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = "sk-very-secret-12345"
    monkeypatch.setenv("MY_KEY", key)
    caplog.set_level(0)
    with Server(Script(model=echo)) as server:
        client = client_of(server.url, tmp_path, api_key_env="MY_KEY")
        complete(client, [ask("hi")])
        assert server.seen.keys == {key}
        server.script.refuse = lambda body, key: (401, f"Incorrect API key: {key}")
        said = fails_with(client, ask("again"))
    assert "MY_KEY" in said and "401" in said
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text in (said, repr(client), repr(vars(client)["_config"]), caplog.text, str(kept)):
        assert key not in text


def test_errors_are_one_line_that_names_the_mend(tmp_path: Path) -> None:
    refusals = {
        401: ("bad key", "OPENAI_API_KEY"),
        404: ("The model `m` does not exist.", "teacher.model"),
        400: ("This model's maximum context length is 4096 tokens", "too long"),
        402: ("no credit", "top it up"),
    }
    with Server(Script(model=echo)) as server:
        for status, (said, mend) in refusals.items():
            server.script.refuse = lambda body, key, s=status, m=said: (s, m)  # type: ignore[misc]
            assert mend in fails_with(client_of(server.url, tmp_path), ask("hi"))
        server.script.refuse = lambda body, key: None
        wrong = client_of(server.url.removesuffix("/v1"), tmp_path)
        assert "teacher.base_url" in fails_with(wrong, ask("hi"))
        complete(client_of(server.url, tmp_path), [ask("hi")])  # and then it goes on
    assert "teacher.base_url" in fails_with(client_of(server.url, tmp_path), ask("there?"))


@pytest.mark.parametrize("url", ["localhost:8000/v1", "ftp://x/v1", "https://me:secret@host/v1"])
def test_urls_that_cannot_be_are_refused_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match=r"teacher\.base_url") as caught:
        client_of(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_down_stops_the_run_but_one_bad_call_does_not(tmp_path: Path) -> None:
    def refuse(body: Body, key: str) -> tuple[int, str] | None:
        return (500, "crashed") if "poison" in str(body["messages"]) else None

    with Server(Script(model=echo, latency=0.001, refuse=refuse)) as server:
        client = client_of(server.url, tmp_path, retries=2, concurrency=4)

        async def with_poison() -> list[Any]:
            asks = [ask("poison"), *(ask(str(number)) for number in range(50))]
            return await asyncio.gather(*map(client.complete, asks), return_exceptions=True)

        lost, *others = asyncio.run(with_poison())
        assert isinstance(lost, UnusableError)
        assert all(isinstance(other, Answer) for other in others)
        assert "500: crashed" in fails_with(client, ask("poison alone"))


@pytest.mark.parametrize(
    "budget",
    [{"max_budget_tokens": 2000}, {"max_budget": 0.3, "price_in": 100, "price_out": 1000}],
)
def test_the_budget_stops_a_run_that_then_goes_on(tmp_path: Path, budget: dict[str, Any]) -> None:
    asks = [ask(str(number)) for number in range(40)]
    with Server(Script(model=echo, latency=0.002)) as server:
        client = client_of(server.url, tmp_path, concurrency=4, **budget)
        with pytest.raises(StoppedError, match=r"teacher\.max_budget") as caught:
            complete(client, asks)
        assert "\n" not in str(caught.value)
        spent = client.ledger.total
        assert spent.tokens <= 2000 and spent.cost <= 0.3
        assert spent.calls == sum(server.seen.paid.values())  # what was paid is kept
        larger = {name: value * 100 for name, value in budget.items() if "max" in name}
        again = client_of(server.url, tmp_path, concurrency=4, **budget | larger)
        assert again.ledger.total == spent
        complete(again, asks)
        assert set(server.seen.paid.values()) == {1} and len(server.seen.paid) == 40


WORKER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from teachers.test_llm_client import ask, client_of

async def main():
    client = client_of(sys.argv[1], Path(sys.argv[2]), concurrency=16)
    asks = [ask(f"q {n}") for n in range(200)]
    for answer in await asyncio.gather(*map(client.complete, asks)):
        print(answer.text)

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_paid(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    with Server(Script(model=echo, latency=0.02, fault_rate=0.3, faults=QUICK)) as server:
        command = [sys.executable, "-c", WORKER, server.url, str(tmp_path), tests]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while sum(server.seen.paid.values()) < 60:
            assert first.poll() is None
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)
        first.wait()
        second = subprocess.run(command, capture_output=True, text=True, check=True)
        expected = [echo({"messages": ask(f"q {n}").chat}) for n in range(200)]
        assert second.stdout.splitlines() == expected
        # A call whose answer was on its way when the process died is the one that cannot be kept.
        twice = sum(number - 1 for number in server.seen.paid.values())
        assert twice <= 16 and len(server.seen.paid) == 200

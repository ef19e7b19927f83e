"""A model answers the same in this process as behind `looptool serve`; it alone is scripted."""

from __future__ import annotations

import copy
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from looptool.chat import load_format
from looptool.errors import UserError
from looptool.evaluate import bfcl
from looptool.evaluate.answers import Answer, Question, Unasked
from looptool.evaluate.players import EnginePlayer, ServerPlayer
from looptool.models.engine import Completion, Sampling
from looptool.records import Message, Mismatch, Tool
from looptool.serve.server import ChatServer

TEMPLATE = """
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if 'never' in message.content %}{{ raise_exception('not this,\nplease') }}{% endif %}
{{- '<|im_start|>' + message.role + '\n' + message.content }}
{%- for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
ROME = '<tool_call>\n{"name": "get", "arguments": {"city": "Rome", "n": 1.0}}\n</tool_call>'
OSLO = ROME.replace("Rome", "Øslo 🙂")
BROKEN = '<tool_call>\n{"name": "get", "argu'
OUTPUTS = {
    "sound": ROME,
    "two": f"{ROME}\n{OSLO}",
    "twice": f"{ROME}\n{ROME}",
    "text": "It is sunny.",
    "broken": BROKEN,
    "sound then broken": f"{ROME}\n{OSLO}\n{BROKEN}",
    "sound, broken, sound": f"{ROME}\n<tool_call>get()</tool_call>\n{OSLO}",
    "text then call": f"Let me look.\n{ROME}",
    "thought": f"<think>\nRome, {BROKEN}\n</think>\n\n{ROME}",
    "endless thought": f"<think>{ROME}",
    "end of no thought": f"So.</think>\n{ROME}",
    "nothing": "",
    "cut": ROME + " word" * 400,
}


class Scripted:
    """Says what OUTPUTS has for the last word of the prompt."""

    def __init__(self, tokenizer: Any, format: str) -> None:
        from transformers import LlamaConfig

        self.tokenizer = tokenizer
        self.format = load_format(format, tokenizer)
        self.model = SimpleNamespace(config=LlamaConfig(max_position_embeddings=1024))

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        watch: Any = None,
        guides: Any = None,
    ) -> Iterator[list[Completion]]:
        self.guides = guides
        for at, prompt in enumerate(prompts):
            asked = self.tokenizer.decode(prompt).rpartition("Say: ")[2].partition("<|im_end|>")[0]
            output = self.tokenizer(OUTPUTS[asked], add_special_tokens=False)["input_ids"]
            ids = [*output, self.tokenizer.eos_token_id][: sampling.max_new_tokens]
            stopped = ids[-1] == self.tokenizer.eos_token_id
            yield [Completion(at, ids, [-0.5] * len(ids), stopped)]


@pytest.fixture(scope="module", params=["hermes", "native"])
def both(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Iterator[tuple[Any, Any]]:
    """The same model as a player of this process, and as one behind a server."""
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = TEMPLATE
    engine: Any = Scripted(tokenizer, request.param)
    server = ChatServer(engine, "tiny", "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield EnginePlayer("tiny", "1", lambda: engine, 300), ServerPlayer(server.url, "tiny", 300)
    server.shutdown()
    server.close()


def question(said: str, *tools: Tool, id: str = "q") -> Question:
    messages = (Message(role="user", content=f"Say: {said}"),)
    return Question(id=id, tools=tools, messages=messages)


def only(player: Any, asked: Question) -> Answer:
    (answer,) = player.answer([asked])
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize("tools", [(Tool(name="get"),), ()], ids=["tools", "no tools"])
def test_an_output_scores_the_same_in_this_process_and_behind_a_server(
    both: tuple[Any, Any], tools: tuple[Tool, ...]
) -> None:
    for said in OUTPUTS:
        here, there = (only(player, question(said, *tools)) for player in both)
        assert (here.calls, here.text) == (there.calls, there.text), said
        assert here.as_message() == there.as_message(), said
        assert here.num_tokens == there.num_tokens, said


def test_a_guided_player_holds_calls_to_the_question_s_tools(tiny_tokenizer: Any) -> None:
    engine: Any = Scripted(tiny_tokenizer, "hermes")
    free, guided = (EnginePlayer("tiny", "1", lambda: engine, 300, held) for held in (False, True))
    assert guided.name == "tiny-guided" and guided.identity != free.identity
    only(free, question("sound", Tool(name="get")))
    assert not engine.guides
    list(guided.answer([question("sound", Tool(name="get")), question("text")]))
    guide, none = list[Any](engine.guides)
    assert none is None
    call, other = (
        tiny_tokenizer(f'<tool_call>\n{{"name": "{name}"')["input_ids"] for name in ("get", "put")
    )
    assert guide.fork().admit(call) == len(call)
    assert guide.fork().admit(other) < len(other)


def test_a_guided_player_makes_no_call_twice(tiny_tokenizer: Any) -> None:
    engine: Any = Scripted(tiny_tokenizer, "hermes")
    asked = question("twice", Tool(name="get"))
    free, guided = (
        only(EnginePlayer("tiny", "1", lambda: engine, 300, held), asked) for held in (False, True)
    )
    assert len(free.calls) == 2 and guided.calls == free.calls[:1]


def test_sound_calls_before_one_that_breaks_stand_and_the_rest_is_text(
    both: tuple[Any, Any],
) -> None:
    here = only(both[0], question("sound then broken", Tool(name="get")))
    assert [json.loads(text)["city"] for _, text in here.calls] == ["Rome", "Øslo 🙂"]
    assert here.text == BROKEN and here.began and here.defect is Mismatch.TRUNCATED
    assert bfcl.as_result(here) == [{name: text} for name, text in here.calls]
    broken = only(both[0], question("broken", Tool(name="get")))
    assert (broken.calls, broken.text, broken.began) == ((), BROKEN, True)
    assert bfcl.as_result(broken) == BROKEN


@pytest.mark.parametrize("which", [0, 1], ids=["here", "there"])
def test_a_prompt_that_does_not_fit_is_answered_with_nothing_and_the_others_are_asked(
    both: tuple[Any, Any], which: int
) -> None:
    asked = [question("word " * 2000, id="long"), question("text", id="short")]
    answers = {answer.id: answer for answer in both[which].answer(asked)}
    assert answers["long"] == Answer(id="long", defect=Mismatch.PROMPT_TOO_LONG)
    assert answers["short"].text == "It is sunny."


@pytest.mark.parametrize("both", ["native"], indirect=True)
@pytest.mark.parametrize("which", [0, 1], ids=["here", "there"])
def test_a_prompt_that_the_template_refuses_is_answered_with_nothing_and_told_of_once(
    both: tuple[Any, Any], which: int, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [question("never", id=f"no_{at}") for at in range(3)] + [question("text")]
    with caplog.at_level(logging.WARNING):
        answers = {answer.id: answer for answer in both[which].answer(asked)}
    assert answers["no_1"] == Answer(id="no_1", defect=Unasked.PROMPT_REFUSED)
    assert answers["q"].text == "It is sunny."
    (told,) = (record.getMessage() for record in caplog.records if "nothing" in record.msg)
    assert "refuses a message (not this, please)" in told and "\n" not in told
    kept = Answer.model_validate_json(answers["no_1"].model_dump_json())
    assert kept.defect is Unasked.PROMPT_REFUSED, "the journal gives it back"


def refusing(status: int, error: dict[str, Any]) -> ServerPlayer:
    """A player behind a server that always refuses so."""
    return saying(json.dumps({"error": error}), status)


def saying(body: str, status: int = 200) -> ServerPlayer:
    """A player behind a server that always answers so."""
    import httpx2
    import openai

    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, text=body, headers={"content-type": "application/json"})

    player = ServerPlayer("http://server/v1", "m")
    web = httpx2.Client(transport=httpx2.MockTransport(handle))
    client = openai.OpenAI(base_url=player.base_url, api_key="none", max_retries=0, http_client=web)
    player.__dict__["_client"] = client
    return player


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Too much.", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 4096 tokens.", "code": 400},
        {"message": "The request exceeds the available context size, try increasing it."},
    ],
    ids=["OpenAI", "vLLM", "llama.cpp"],
)
def test_servers_say_in_many_ways_that_a_prompt_is_too_long(error: dict[str, Any]) -> None:
    assert only(refusing(400, error), question("text")).defect is Mismatch.PROMPT_TOO_LONG


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "tools are not supported"}),
        (400, {"message": "name: string too long", "code": "string_above_max_length"}),
        (404, {"message": "no such model; the maximum context length is 4096"}),
    ],
)
def test_what_else_a_server_refuses_ends_the_evaluation(status: int, error: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="http://server/v1"):
        only(refusing(status, error), question("text"))


def chat(message: Any) -> str:
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]})


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", "{", '"hello"', chat(None), chat({"tool_calls": [{"type": "function"}]})],
)
def test_a_server_of_another_kind_is_one_line(body: str) -> None:
    with pytest.raises(UserError, match="http://server/v1") as caught:
        only(saying(body), question("text"))
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none_is_one_line() -> None:
    with pytest.raises(UserError, match="does not answer"):
        only(ServerPlayer("http://[::1", "m"), question("text"))


def test_half_a_character_of_a_server_can_be_kept() -> None:
    answer = only(saying(chat({"role": "assistant", "content": "a\ud800b"})), question("text"))
    assert answer.text == "a?b" and answer.model_dump_json()


def test_who_leaves_waits_for_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, asked = threading.Event(), []

    def ask(player: ServerPlayer, question: Question) -> Answer:
        asked.append(question)
        if len(asked) > 1:
            assert answered.wait(20)
        return Answer(id=question.id)

    monkeypatch.setattr(ServerPlayer, "_ask", ask)
    questions = [question("text", id=str(n)) for n in range(20)]
    answers = ServerPlayer("http://server/v1", "m", concurrency=3).answer(questions)
    next(iter(answers))
    began = time.monotonic()
    answers.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5
    answered.set()
    assert len(asked) <= 4, "three under way, and none begun afterwards"

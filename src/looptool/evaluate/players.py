"""Who answers: this process's engine, or a model behind an OpenAI-compatible server."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, cached_property
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from looptool.errors import UserError
from looptool.evaluate.answers import Answer, Question, Unasked, arguments_text, from_output
from looptool.jsonvalue import content_hash
from looptool.records import Message, Mismatch

if TYPE_CHECKING:
    import openai

    from looptool.models.engine import Engine
    from looptool.models.guide import Guides

logger = logging.getLogger(__name__)

MAX_NEW_TOKENS = 512
"""The longest right answer of BFCL-v3 has 440 tokens of SmolLM2."""


def file_name(name: str) -> str:
    """`name` as official files can be called: no underscore, no slash, no "FC"; a letter first,
    for BFCL makes Python's names of it, and calls every call right where it cannot.
    """
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.") or "model"
    plain = plain if plain[0].isalpha() else f"m-{plain}"
    return re.sub("fc", "f-c", plain, flags=re.IGNORECASE)


_READING = 2
"""Counts the ways in which outputs were read: answers that were read another way are made again."""


class EnginePlayer:
    """Greedy decoding by the project's own engine, loaded when the first answer is asked for."""

    def __init__(
        self,
        name: str,
        identity: str,
        load: Callable[[], Engine],
        max_new_tokens: int = MAX_NEW_TOKENS,
        guided: bool = False,
    ) -> None:
        """With `guided`, calls are held to their tools' schemas, and none is made twice."""
        self.name = file_name(f"{name}-guided" if guided else name)
        self.identity = content_hash(
            [identity, max_new_tokens, _READING] + (["guided", "no repeats"] if guided else [])
        )
        self.max_new_tokens = max_new_tokens
        self.guided = guided
        self._load = load

    @cached_property
    def engine(self) -> Engine:
        return self._load()

    @cached_property
    def _guides(self) -> Guides:
        from looptool.models.guide import Guides

        return Guides(self.engine.format)

    @cached_property
    def longest_prompt(self) -> int:
        """What the model's positions leave for the prompt; UserError if that is nothing."""
        from looptool.models.load import num_positions

        positions = num_positions(self.engine.model.config) or 32768
        if self.max_new_tokens >= positions:
            raise UserError(
                f"--max-new-tokens {self.max_new_tokens}: {self.name} has {positions} positions, "
                "which leaves none for the prompt; give fewer"
            )
        return positions - self.max_new_tokens

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """See `Player.answer`.

        A prompt that does not fit, or that the chat template refuses, is answered with nothing and
        marked.
        """
        from looptool.models.engine import Sampling

        format = self.engine.format
        asked: list[tuple[Question, list[int]]] = []
        for question in questions:
            try:
                prompt = format.prompt_ids(question.tools, question.messages)
            except UserError as error:
                _warn_once(f"{self.name}: {error}")
                yield Answer(id=question.id, defect=Unasked.PROMPT_REFUSED)
                continue
            if len(prompt) > self.longest_prompt:
                yield Answer(id=question.id, defect=Mismatch.PROMPT_TOO_LONG)
            else:
                asked.append((question, prompt))
        sampling = Sampling(max_new_tokens=self.max_new_tokens)
        guides = [self._guides.moves(one.tools) for one, _ in asked] if self.guided else None
        prompts = [prompt for _, prompt in asked]
        for (done,) in self.engine.generate(prompts, sampling, guides=guides):
            question, prompt = asked[done.prompt]
            yield from_output(question, format, prompt, done.ids, repeats=not self.guided)


class ServerPlayer:
    """A model behind an OpenAI-compatible endpoint, which brings its own format and parser."""

    def __init__(
        self,
        base_url: str,
        model: str,
        max_new_tokens: int = MAX_NEW_TOKENS,
        concurrency: int = 16,
        key_env: str = "OPENAI_API_KEY",
    ) -> None:
        self.base_url = base_url
        self.model = model
        self.name = file_name(model)
        self.identity = content_hash([base_url, model, max_new_tokens])
        self.max_new_tokens = max_new_tokens
        self.concurrency = concurrency
        self.key_env = key_env

    @cached_property
    def _client(self) -> openai.OpenAI:
        import openai

        key = os.environ.get(self.key_env) or "none"
        return openai.OpenAI(base_url=self.base_url, api_key=key, max_retries=4)

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """See `Player.answer`; UserError if the server cannot be talked to.

        A prompt that the server says is too long is answered with nothing and marked, and so is one
        that the chat template behind `looptool serve` refuses.
        """
        import httpx2
        import openai

        try:
            for question, answer in self._answered(questions):
                if isinstance(answer, openai.BadRequestError):
                    yield self._answer_to(question, answer)
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    yield answer
        except openai.OpenAIError as error:
            raise UserError(f"{self.base_url}, model {self.model}: {error}") from None
        except (AttributeError, TypeError, ValueError, httpx2.InvalidURL) as error:
            raise UserError(
                f"{self.base_url} does not answer as an OpenAI-compatible server does "
                f"({type(error).__name__}: {' '.join(str(error).split())[:100]}); "
                "the address ends in /v1, as a rule"
            ) from None

    def _answered(
        self, questions: Sequence[Question]
    ) -> Iterator[tuple[Question, Answer | Exception]]:
        """Each question with what came of it, as they come, `concurrency` at a time.

        In daemon threads and not a pool, which would wait at an end by Ctrl-C for a server that
        does not answer.
        """
        left: SimpleQueue[Question] = SimpleQueue()
        done: SimpleQueue[tuple[Question, Answer | Exception]] = SimpleQueue()
        for question in questions:
            left.put(question)

        def work() -> None:
            with suppress(Empty):
                while True:
                    question = left.get_nowait()
                    try:
                        done.put((question, self._ask(question)))
                    except Exception as error:
                        done.put((question, error))

        for _ in range(min(self.concurrency, len(questions))):
            Thread(target=work, daemon=True).start()
        try:
            for _ in questions:
                yield done.get()
        finally:
            with suppress(Empty):
                while True:
                    left.get_nowait()

    def _ask(self, question: Question) -> Answer:
        extra: dict[str, Any] = {}
        if question.tools:
            extra["tools"] = [
                {"type": "function", "function": tool.as_function()} for tool in question.tools
            ]
        done = self._client.chat.completions.create(
            model=self.model,
            messages=list(to_openai(question.messages)),  # type: ignore[arg-type]
            temperature=0,
            max_tokens=self.max_new_tokens,
            **extra,
        )
        if not done.choices:
            raise UserError(f"{self.base_url}, model {self.model}: an answer without choices")
        message = done.choices[0].message
        calls = tuple(
            (_whole(call.function.name), _whole(call.function.arguments))
            for call in message.tool_calls or ()
            if call.type == "function"
        )
        return Answer(
            id=question.id,
            calls=calls,
            text=_whole(message.content or ""),
            began=bool(calls),
            num_tokens=done.usage.completion_tokens if done.usage else 0,
        )

    def _answer_to(self, question: Question, error: openai.BadRequestError) -> Answer:
        """The answer to a prompt that was refused; the error again if it is not the prompt's."""
        why = _unasked(error)
        if why is None:
            raise error
        if why is Unasked.PROMPT_REFUSED:
            _warn_once(f"{self.name}: {error}")
        return Answer(id=question.id, defect=why)


def _whole(text: str) -> str:
    """Halves of characters, which no file could hold, become question marks."""
    return text.encode("utf-8", "replace").decode()


@cache
def _warn_once(line: str) -> None:
    """Say why questions count as answered with nothing; thousands may for the same reason.

    From one thread: two that come at once would both be told.
    """
    logger.warning("answered with nothing: %s", " ".join(line.split()))


def _unasked(error: openai.BadRequestError) -> Mismatch | Unasked | None:
    """What kept the prompt from the model, if it is the prompt that the server has refused."""
    from looptool.teachers.llm.faults import TOO_LONG, message_of

    if error.code == Unasked.PROMPT_REFUSED:
        return Unasked.PROMPT_REFUSED
    code = str(error.code)
    if code.endswith("_above_max_length"):  # of one field, a tool's name for instance
        return None
    if code == "context_length_exceeded" or TOO_LONG.search(message_of(error)):
        return Mismatch.PROMPT_TOO_LONG
    return None


def to_openai(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Messages as the chat API takes them: calls numbered, each result with its call's number."""
    made = answered = 0
    for message in messages:
        told: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            told["tool_calls"] = [
                {
                    "id": f"call_{made + at}",
                    "type": "function",
                    "function": {"name": c.name, "arguments": arguments_text(c.arguments)},
                }
                for at, c in enumerate(message.tool_calls)
            ]
            answered, made = made, made + len(message.tool_calls)
        if message.role == "tool":
            told["tool_call_id"] = message.tool_call_id or f"call_{answered}"
            answered += 1
        yield told

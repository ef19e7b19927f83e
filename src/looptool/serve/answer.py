"""Tokens become an answer: the events of a stream as they come, or one object at the end.

Both are made of the same pieces, so that the events add up to the object.
"""

from __future__ import annotations

import time
import uuid
from bisect import bisect_right
from typing import Any, NamedTuple

from looptool.chat.base import ChatFormat
from looptool.chat.stream import Said, TextReader
from looptool.evaluate.answers import arguments_text
from looptool.records import ToolCall
from looptool.serve.batcher import Growth
from looptool.serve.protocol import Prepared


class Answer:
    """The answer to one request."""

    def __init__(
        self, prepared: Prepared, format: ChatFormat, model: str, *, repeats: bool = True
    ) -> None:
        """Without `repeats`, a call that was made before is passed over."""
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }
        options = prepared.request.stream_options
        self._tells_usage = options is not None and options.include_usage
        self._prompt_tokens = len(prepared.prompt)
        self._choices = [
            _Choice(prepared, format, repeats) for _ in range(prepared.sampling.num_samples)
        ]

    @property
    def complete(self) -> bool:
        """Whether no token could change it any more."""
        return all(choice.finish for choice in self._choices)

    def add(self, growth: Growth) -> list[dict[str, Any]]:
        """The `chat.completion.chunk` objects that the tokens bring, if any."""
        return self._chunks(growth.choice, self._choices[growth.choice].add(growth))

    def end(self) -> list[dict[str, Any]]:
        """The last chunks: of choices that were cut, and the usage if it was asked for."""
        chunks = []
        for at, choice in enumerate(self._choices):
            chunks += self._chunks(at, choice.end())
        if self._tells_usage:
            chunks.append({**self._chunk([]), "usage": self._usage()})
        return chunks

    def whole(self) -> dict[str, Any]:
        """A `chat.completion` object of all that was added."""
        choices = [
            {
                "index": at,
                "message": choice.message(),
                "logprobs": _logprobs(choice.logprobs),
                "finish_reason": choice.finish,
            }
            for at, choice in enumerate(self._choices)
        ]
        head = {**self._head, "object": "chat.completion"}
        return {**head, "choices": choices, "usage": self._usage()}

    def _chunks(self, at: int, deltas: list[_Delta]) -> list[dict[str, Any]]:
        return [
            self._chunk(
                [
                    {
                        "index": at,
                        "delta": delta.delta,
                        "logprobs": _logprobs(delta.logprobs),
                        "finish_reason": delta.finish,
                    }
                ]
            )
            for delta in deltas
        ]

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices}
        return {**chunk, "usage": None} if self._tells_usage else chunk

    def _usage(self) -> dict[str, int]:
        new = sum(choice.num_tokens for choice in self._choices)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": new,
            "total_tokens": self._prompt_tokens + new,
        }


class _Delta(NamedTuple):
    delta: dict[str, Any]
    logprobs: list[dict[str, Any]] | None = None
    finish: str | None = None


class _Choice:
    """One of the completions of a request."""

    def __init__(self, prepared: Prepared, format: ChatFormat, repeats: bool) -> None:
        request = prepared.request
        self.num_tokens = 0
        self.finish: str | None = None
        self.logprobs: list[dict[str, Any]] | None = [] if request.logprobs else None
        self._ends: list[int] = []
        """Where in the output the text of each log-prob's token ends, as far as that is known."""
        self._logprobs_told = 0
        self._limit = prepared.sampling.max_new_tokens
        self._max_calls = 1 if request.parallel_tool_calls is False else None
        self._format = format
        # Without tools there is nothing to call: calls that the model writes are text.
        self._reader = format.reader(
            prepared.prompt, request.stops(), calls=bool(request.offered()), repeats=repeats
        )
        self._text = TextReader(format.decode)
        self._length = 0
        self._begun = False
        self._content: list[str] = []
        self._thought: list[str] = []
        self._calls: list[dict[str, Any]] = []

    def add(self, growth: Growth) -> list[_Delta]:
        """What the tokens say; those after the end (a stop string) are not heard."""
        if self.finish:
            return []
        deltas = [] if self._begun else [_Delta({"role": "assistant", "content": ""})]
        self._begun = True
        said: list[Said] = []
        last = len(growth.ids) - 1
        for at, (token, logp) in enumerate(zip(growth.ids, growth.logps, strict=True)):
            if self.finish:
                break
            self.num_tokens += 1
            stopped = growth.stopped and at == last
            if not stopped:
                said += self._hear(token, logp)
            if stopped or self._reader.over or self.num_tokens >= self._limit:
                said += self._close(stopped)
        return deltas + self._deltas(said)

    def end(self) -> list[_Delta]:
        """What is left to say of a completion that got no further."""
        return [] if self.finish else self._deltas(self._close(stopped=False))

    def message(self) -> dict[str, Any]:
        """All that was said as an assistant's message."""
        content, thought = "".join(self._content), "".join(self._thought)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not self._calls else None,
            "refusal": None,
        }
        if thought:
            message["reasoning_content"] = thought
        if self._calls:
            message["tool_calls"] = self._calls
        return message

    def _hear(self, token: int, logp: float) -> list[Said]:
        text = self._text.feed(token)
        self._length += len(text)
        if self.logprobs is not None:
            self.logprobs.append(_logprob(self._format.decode([token]), logp))
            if text:
                self._ends += [self._length] * (len(self.logprobs) - len(self._ends))
        return self._reader.feed(text)

    def _close(self, stopped: bool) -> list[Said]:
        said = self._reader.feed(self._text.end())
        stopped = stopped or self._reader.over
        said += self._reader.end()
        if not stopped and (self._reader.broken or not self._reader.called):
            self.finish = "length"
        else:
            self.finish = "tool_calls" if self._reader.called else "stop"
        return said

    def _deltas(self, said: list[Said]) -> list[_Delta]:
        """The pieces as deltas; the first takes along the log-probs of what is certain."""
        deltas = [delta for piece in said if (delta := self._delta(piece))]
        if self.finish:
            deltas.append({})
        if not deltas:
            return []
        told = [_Delta(deltas[0], self._new_logprobs()), *map(_Delta, deltas[1:])]
        told[-1] = told[-1]._replace(finish=self.finish)
        return told

    def _delta(self, piece: Said) -> dict[str, Any]:
        if piece.content:
            self._content.append(piece.content)
            return {"content": piece.content}
        if piece.thought:
            self._thought.append(piece.thought)
            return {"reasoning_content": piece.thought}
        if piece.call and len(self._calls) != self._max_calls:
            call = _call(piece.call)
            self._calls.append(call)
            return {"tool_calls": [{"index": len(self._calls) - 1, **call}]}
        return {}

    def _new_logprobs(self) -> list[dict[str, Any]] | None:
        """Those not told yet of tokens whose text is not held back."""
        if self.logprobs is None:
            return None
        certain = bisect_right(self._ends, self._length - self._reader.undecided)
        end = len(self.logprobs) if self.finish else certain
        new = self.logprobs[self._logprobs_told : end]
        self._logprobs_told = end
        return new or None


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
    }


def _logprobs(content: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if content is None else {"content": content}


def _logprob(token: str, logp: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": logp,
        "bytes": list(token.encode("utf-8", "replace")),
        "top_logprobs": [],
    }

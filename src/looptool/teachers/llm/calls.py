"""One call of a language model: what is asked, what came back, and what goes wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from looptool.errors import UserError

Chat = tuple[dict[str, str], ...]
"""OpenAI chat messages."""


@dataclass(frozen=True)
class Ask:
    """One call. `role` is for the books only; all else makes the call what it is.

    `sample` tells apart calls that ask the same thing several times.
    """

    role: str
    model: str
    chat: Chat
    schema: dict[str, Any] | None
    temperature: float
    max_tokens: int
    sample: int = 0

    def key(self) -> str:
        """The content address of the call: SHA-256, in hex.

        How long an answer may be is no part of it: answers that were cut are not kept.
        """
        parts = [
            self.model,
            self.chat,
            self.schema,
            self.temperature,
            self.sample,
        ]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What a model said, its thought split off, and the tokens that it took."""

    text: str
    thought: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class UnusableError(ValueError):
    """No usable answer came of a call: the item is lost, the run goes on."""


class StoppedError(UserError):
    """The endpoint, the key, the model or the budget stands in the way of every further call."""


class PassingError(Exception):
    """A call failed for a reason that may pass; `wait` is what the endpoint asks for, in seconds.

    `affects_all` is whether other calls would fail of it too, `tries` how often such a call is made
    at most, and `answer` what was paid for nevertheless.
    """

    def __init__(
        self,
        reason: str,
        *,
        wait: float | None = None,
        affects_all: bool = False,
        tries: int | None = None,
        answer: Answer | None = None,
    ) -> None:
        super().__init__(reason)
        self.wait, self.affects_all, self.tries, self.answer = wait, affects_all, tries, answer


class RefusedError(Exception):
    """The endpoint does not take the call as it is written (400, 422)."""


CUT_TRIES = 3
"""How often a call is made whose answer is empty or reaches the token limit."""


def read_answer(body: bytes) -> Answer:
    """The answer in the body of a chat completion.

    Raises PassingError for a body that is broken, and for an answer that is empty or cut.
    """
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        message = choice["message"]
        content = _whole(message.get("content") or "")
        aside = _whole(message.get("reasoning_content") or message.get("reasoning") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise PassingError("answered with something that is no chat completion") from None
    thought, text = split_thought(content)
    usage = data.get("usage") or {}
    answer = Answer(
        text,
        aside or thought,
        usage.get("prompt_tokens") or 0,
        # Endpoints that do not count: four characters are about a token.
        usage.get("completion_tokens") or (len(content) + 3) // 4,
    )
    if choice.get("finish_reason") == "length":
        raise PassingError("cut at max_tokens", tries=CUT_TRIES, answer=answer)
    if not text:
        raise PassingError("empty", tries=CUT_TRIES, answer=answer)
    return answer


def _whole(text: str) -> str:
    """The text without halves of characters, which nothing could store."""
    return text.encode("utf-8", "replace").decode()


def split_thought(content: str) -> tuple[str, str]:
    """Thought and text of `<think>…</think> text`; an unclosed thought leaves no text."""
    content = content.strip()
    thought, closed, text = content.partition("</think>")
    if closed:
        return thought.removeprefix("<think>").strip(), text.strip()
    if content.startswith("<think>"):
        return content.removeprefix("<think>"), ""
    return "", content

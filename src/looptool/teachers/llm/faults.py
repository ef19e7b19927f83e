"""What an endpoint's errors mean: try again, write it plainer, lose the item, or stop."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from looptool.teachers.llm.calls import Ask, PassingError, RefusedError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import APIConnectionError, APIStatusError

LONGEST_WAIT = 600.0
"""Seconds of Retry-After; whoever asks for more is not waited for."""

REFUSED_TRIES = 3
"""How often a call is made where nobody answers at all."""

TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}tokens|too (long|many tokens)|"
    r"exceeds?.{0,40}(tokens|context|length)|prompt is too",
    re.IGNORECASE,
)

# Some servers answer 500 to a request that they do not understand (llama-cpp-python).
_MISUNDERSTOOD = re.compile(
    r"response_format|json_schema|grammar|validation error|unsupported|not supported", re.IGNORECASE
)


def status_fault(error: APIStatusError, ask: Ask, where: str, key_env: str) -> Exception:
    """The exception that an HTTP status stands for; `where` is the endpoint's URL."""
    status, said = error.status_code, message_of(error)
    if status in (401, 403):
        return StoppedError(
            f"{where} does not accept the key in {key_env} ({status}: {said}); export a valid "
            f"{key_env}, or name the variable that holds one in teacher.api_key_env"
        )
    if status == 402 or _code(error) == "insufficient_quota":
        return StoppedError(f"{where}: the account is empty ({said}); top it up, run again")
    if status == 404:
        if ask.model in said or "model" in said.lower():
            return StoppedError(
                f"{where} has no model {ask.model!r} ({said}); set teacher.model (or "
                f"teacher.judges) to one that {where}/models lists"
            )
        return StoppedError(
            f"{where} answers 404 ({said}); teacher.base_url must be the endpoint's URL up to and "
            "with /v1"
        )
    if status in (400, 413, 422):
        if status == 413 or TOO_LONG.search(said):
            return StoppedError(
                f"a {ask.role} call is too long for {ask.model} ({said}); serve it with a longer "
                "context, or lower teacher.max_tokens"
            )
        return RefusedError(said)
    if status >= 500 and _MISUNDERSTOOD.search(said):
        return RefusedError(said)
    if status in (408, 409, 425, 429) or status >= 500:
        wait = retry_after(error.response.headers)
        if wait is not None and wait > LONGEST_WAIT:
            return StoppedError(f"{where} asks to wait {wait:.0f} s ({said}); run again after that")
        return PassingError(f"{status}: {said}", wait=wait, affects_all=status == 429)
    return StoppedError(f"{where} answers {status} ({said}); check teacher.base_url")


def connection_fault(error: APIConnectionError) -> PassingError:
    """Nobody there, or a connection that broke."""
    import httpx2

    cause = error.__cause__
    if isinstance(cause, httpx2.ConnectError):
        return PassingError(
            f"cannot be reached ({_one_line(str(cause))})", affects_all=True, tries=REFUSED_TRIES
        )
    return PassingError(f"connection lost ({_one_line(str(cause or error))})", affects_all=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait (RFC 9110, 10.2.3), if it does."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _error_body(error: APIStatusError) -> Any:
    body = error.body
    return body.get("error", body) if isinstance(body, dict) else body


def _code(error: APIStatusError) -> str:
    body = _error_body(error)
    return str(body.get("code")) if isinstance(body, dict) else ""


def message_of(error: APIStatusError) -> str:
    """What the endpoint says of the error, in one line."""
    body = _error_body(error)
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else body
    return _one_line(str(said or error.response.reason_phrase or "no reason given"))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:199] + "…"

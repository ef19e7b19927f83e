"""The asynchronous client: bounded, patient, and it never pays twice for one call."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from looptool.config import LlmTeacherConfig
from looptool.errors import UserError
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.calls import (
    Answer,
    Ask,
    PassingError,
    RefusedError,
    StoppedError,
    UnusableError,
    read_answer,
)
from looptool.teachers.llm.dialect import Dialect
from looptool.teachers.llm.faults import connection_fault, status_fault
from looptool.teachers.llm.ledger import Ledger

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

NO_KEY = "none"
"""Sent where the environment has no key: local endpoints want none."""

LONGEST_BACKOFF = 60.0

_TOLD = ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")


class Client:
    """Completes calls at one endpoint, at most `concurrency` at once.

    Calls for a passing reason (429, 5xx, a lost connection, a time-out, a cut or empty answer) are
    repeated after a jittered, doubling pause, or when the endpoint says. Answers come from the
    cache if they were ever paid for; equal calls that are under way at the same time are one.
    It may be used in one event loop after another.
    """

    def __init__(self, config: LlmTeacherConfig, cache: CallCache, *, backoff: float = 0.5) -> None:
        """`backoff` is the first pause, in seconds. UserError for a URL or key that cannot be."""
        self.ledger = Ledger(config, cache)
        self._config = config
        self._cache = cache
        self._backoff = backoff
        self._key = _read_key(config)
        self._dialect = Dialect()
        self._served = 0
        self._session: _Session | None = None
        _check_url(config.base_url)

    def __repr__(self) -> str:
        return f"Client({self._config.base_url!r}, {self._config.model!r})"

    async def complete(self, ask: Ask) -> Answer:
        """The answer to a call.

        Raises UnusableError if this call gets none, and StoppedError, a UserError, if none would.
        """
        key = ask.key()
        if (answer := self._cache.get(key)) is not None:
            self.ledger.replay(answer)
            return answer
        session = await self._open()
        flight = session.flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._pay(session, key, ask))
            session.flights[key] = flight
            flight.add_done_callback(lambda done: session.landed(key, done))
        try:
            # A caller that goes away leaves the flight to the others that wait for it.
            return await asyncio.shield(flight)
        except StoppedError:
            await session.drain()
            raise

    async def _open(self) -> _Session:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.loop is not loop:
            self._session = _Session(self._config, self._key, loop)
            await self._session.start()
        return self._session

    async def _pay(self, session: _Session, key: str, ask: Ask) -> Answer:
        """Try until there is an answer, and enter it in the books."""
        served, tries = self._served, 0
        while True:
            try:
                async with session.slots:
                    await session.pause_over()
                    self._admit(session)
                    session.in_flight += 1
                    try:
                        answer = await self._send(session, ask)
                    finally:
                        session.in_flight -= 1
                self.ledger.enter(key, answer, ask.role, ask.model)
                self._served += 1
                return answer
            except PassingError as fault:
                tries += 1
                if fault.answer is not None:
                    self.ledger.enter(None, fault.answer, ask.role, ask.model)
                limit = self._config.retries + 1
                if self._served == 0 or not fault.affects_all:
                    limit = min(limit, fault.tries or limit)
                if tries >= limit:
                    self._give_up(session, fault, tries, served)
                await session.wait(fault, self._backoff * 2 ** (tries - 1))

    def _admit(self, session: _Session) -> None:
        if session.stopped is not None:
            raise session.stopped
        try:
            self.ledger.allow(session.in_flight)
        except StoppedError as stopped:
            raise session.stop(str(stopped)) from None

    def _give_up(self, session: _Session, fault: PassingError, tries: int, served: int) -> NoReturn:
        """The item is lost if others fare better meanwhile, else the endpoint is down."""
        if fault.answer is not None or (not fault.affects_all and self._served > served):
            raise UnusableError(f"no usable answer in {tries} tries: {self._clean(str(fault))}")
        raise session.stop(
            self._clean(
                f"{self._config.base_url} gives no answer, {tries} tries, the last: {fault}; see "
                "that it runs and that teacher.base_url is right, then run the same command again"
            )
        )

    async def _send(self, session: _Session, ask: Ask) -> Answer:
        """One attempt, in the plainest dialect that is needed."""
        first = dialect = self._dialect
        while True:
            try:
                answer = await self._attempt(session, ask, dialect.body(ask))
            except RefusedError as refused:
                next_one = dialect.plainer(ask, str(refused))
                if next_one is None:
                    self._refused(session, refused)
                dialect = next_one
            except StoppedError as stopped:
                raise session.stop(self._clean(str(stopped))) from None
            else:
                if dialect is not first:
                    self._dialect = dialect
                return answer

    def _refused(self, session: _Session, refused: RefusedError) -> NoReturn:
        said = self._clean(str(refused))
        if self._served:
            raise UnusableError(f"the endpoint refuses the call: {said}")
        raise session.stop(
            f"{self._config.base_url} refuses every form of a call ({said}); check teacher.model "
            "and that the endpoint serves /chat/completions"
        )

    async def _attempt(self, session: _Session, ask: Ask, body: bytes) -> Answer:
        import openai

        try:
            async with asyncio.timeout(self._config.timeout):
                response = await session.post(body)
        except TimeoutError:
            raise PassingError(f"no answer within {self._config.timeout:g} s") from None
        except openai.APIStatusError as error:
            where, key_env = self._config.base_url, self._config.api_key_env
            raise status_fault(error, ask, where, key_env) from None
        except openai.APIConnectionError as error:
            raise connection_fault(error) from None
        return read_answer(response.content)

    def _clean(self, text: str) -> str:
        """The text without the key, wherever it came from."""
        return text if self._key == NO_KEY else text.replace(self._key, "[key]")


class _Session:
    """What belongs to one event loop: connections, slots, and the calls under way."""

    def __init__(self, config: LlmTeacherConfig, key: str, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.slots = asyncio.Semaphore(config.concurrency)
        self.flights: dict[str, asyncio.Task[Answer]] = {}
        self.in_flight = 0
        self.stopped: StoppedError | None = None
        self._halt = asyncio.Event()
        self._resume_at = 0.0
        self._sdk = _sdk(config, key)
        self._url = f"{config.base_url.rstrip('/')}/chat/completions"  # whole: nothing to join
        self._lifeline = self._live()

    async def start(self) -> None:
        """The loop ends its asynchronous generators before it closes: that closes the session."""
        await anext(self._lifeline)

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._sdk.close()

    async def post(self, body: bytes) -> httpx2.Response:
        import httpx2

        return await self._sdk.post(self._url, cast_to=httpx2.Response, content=body)

    def landed(self, key: str, flight: asyncio.Task[Answer]) -> None:
        del self.flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, even if every caller has gone away

    def stop(self, why: str) -> StoppedError:
        """No call is sent from now on; the first reason stands."""
        self.stopped = self.stopped or StoppedError(why)
        self._halt.set()
        return self.stopped

    async def drain(self) -> None:
        """Wait for what is under way: it is paid, and must not be lost."""
        while self.flights:
            await asyncio.wait(list(self.flights.values()))

    async def wait(self, fault: PassingError, pause: float) -> None:
        """Back off; a time that the endpoint names holds for all calls."""
        if fault.wait is not None:
            self._resume_at = max(self._resume_at, self.loop.time() + fault.wait)
            return
        await self._rest(min(pause, LONGEST_BACKOFF) * random.uniform(0.5, 1.0))

    async def pause_over(self) -> None:
        while self.stopped is None and (left := self._resume_at - self.loop.time()) > 0:
            await self._rest(left)

    async def _rest(self, seconds: float) -> None:
        """Sleep, unless all is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._halt.wait()


def _sdk(config: LlmTeacherConfig, key: str) -> AsyncOpenAI:
    from openai import AsyncOpenAI, Omit

    from looptool.teachers.llm.transport import DirectClient

    # What the SDK tells of this machine is nobody's business, and costs time.
    untold: dict[str, Any] = {f"X-Stainless-{name}": Omit() for name in _TOLD}
    return AsyncOpenAI(
        api_key=key,
        base_url=config.base_url,
        max_retries=0,
        timeout=config.timeout,
        http_client=None if _has_proxy(config.base_url) else DirectClient(),
        default_headers=untold,
    )


def _has_proxy(url: str) -> bool:
    parts = urlsplit(url)
    proxies = getproxies()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(
        parts.hostname or ""
    )


def _read_key(config: LlmTeacherConfig) -> str:
    key = os.environ.get(config.api_key_env, "").strip()
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{config.api_key_env}: holds characters that no key has; export it anew")
    return key or NO_KEY


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.password or parts.username:
        raise UserError(
            "teacher.base_url: holds a password; export it as the variable of teacher.api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"teacher.base_url: {url!r} is no URL; write it as http://HOST:PORT/v1")

"""How a role speaks to its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from looptool.config import LlmTeacherConfig
from looptool.seed.dice import stable
from looptool.teachers.llm.calls import Ask, Chat
from looptool.teachers.llm.client import Client
from looptool.teachers.llm.structured import ask_for

Shape = TypeVar("Shape", bound=BaseModel)
Made = TypeVar("Made")


class Voice:
    """A client with the settings of a run, for all roles."""

    def __init__(self, client: Client, config: LlmTeacherConfig, seed: int) -> None:
        self.client = client
        self.config = config
        self._seed = seed

    async def ask(
        self,
        role: str,
        chat: Chat,
        shape: type[Shape],
        make: Callable[[Shape], Made],
        *,
        sample: int = 0,
        temperature: float | None = None,
        model: str | None = None,
        schema: dict[str, Any] | None = None,
    ) -> Made:
        """What `make` makes of an answer of `shape` (`structured.ask_for`).

        `schema` is what the endpoint is held to, where that is narrower than the shape. `sample`
        tells apart answers to the same question; the temperature is the config's and the model
        the one that writes, unless given.
        """
        ask = Ask(
            role=role,
            model=model or self.config.model,
            chat=chat,
            schema=schema,
            temperature=self.config.temperature if temperature is None else temperature,
            max_tokens=self.config.max_tokens,
            sample=stable("sample", self._seed, sample) % 2**31,
        )
        return await ask_for(self.client, ask, shape, make)

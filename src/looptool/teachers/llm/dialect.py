"""What an endpoint understands of a chat completion request, found out by asking."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from looptool.teachers.llm.calls import Ask

FORMATS = ("json_schema", "json_object with schema", "json_object", "none")
"""Ways to ask for JSON, the strictest first: OpenAI and vLLM; llama.cpp; older ones; none."""

_OPTIONAL = ("temperature", "seed")


@dataclass(frozen=True)
class Dialect:
    """How a call is written down. A refusal leads to the next plainer one."""

    format: int = 0
    limit: str = "max_tokens"
    left_out: frozenset[str] = frozenset()

    def body(self, ask: Ask) -> bytes:
        """The request body, JSON in UTF-8."""
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": ask.chat,
            "temperature": ask.temperature,
            "seed": ask.sample,
            self.limit: ask.max_tokens,
        }
        for name in self.left_out:
            del body[name]
        if ask.schema is not None:
            body |= self._format(ask.schema)
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

    def _format(self, schema: dict[str, Any]) -> dict[str, Any]:
        match FORMATS[self.format]:
            case "json_schema":
                named = {"name": "answer", "schema": schema}
                return {"response_format": {"type": "json_schema", "json_schema": named}}
            case "json_object with schema":
                return {"response_format": {"type": "json_object", "schema": schema}}
            case "json_object":
                return {"response_format": {"type": "json_object"}}
        return {}

    def plainer(self, ask: Ask, refusal: str) -> Dialect | None:
        """What to try after a refusal; None if nothing is left."""
        if "max_completion_tokens" in refusal and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        for name in _OPTIONAL:
            if name in refusal and name not in self.left_out:
                return replace(self, left_out=self.left_out | {name})
        if ask.schema is not None and self.format < len(FORMATS) - 1:
            return replace(self, format=self.format + 1)
        return None

"""OpenAI's chat completions as LoopTool reads and writes them.

What does not change the answer (`HARMLESS`) is let pass; whatever else cannot be honoured, known to
the API or not, is refused, never ignored.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from looptool.chat.base import ChatFormat
from looptool.errors import UserError
from looptool.evaluate.answers import Unasked
from looptool.jsonvalue import read_json, shorten
from looptool.models.engine import Sampling
from looptool.models.guide import Guide, Guides
from looptool.records import Message, Tool, ToolCall

HARMLESS = frozenset(
    {
        "metadata", "prediction", "prompt_cache_key", "prompt_cache_retention",
        "safety_identifier", "service_tier", "store", "user",
    }
)  # fmt: skip
"""Fields that are about the request and its cost, not about the answer."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "function_call": ("auto", "none"),
    "min_p": (0,),
    "modalities": (["text"],),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "top_k": (-1, 0),
}
"""Values with which a field that is not supported asks for nothing. So do null, `{}` and `[]`."""


class ApiError(Exception):
    """An error that the client is told in OpenAI's shape."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Text(_Part):
    type: Literal["text"]
    text: str


class _Function(_Part):
    name: str
    arguments: str = "{}"


class _Call(_Part):
    id: str = ""
    type: Literal["function"] = "function"
    function: _Function


class _Message(_Part):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Text] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    function_call: None = None
    audio: None = None

    def as_message(self) -> Message:
        """Raises ValueError where a call's arguments are no JSON object."""
        if isinstance(self.content, list):
            content = "".join(part.text for part in self.content)
        else:
            content = self.content or ""
        return Message(
            role="system" if self.role == "developer" else self.role,
            content=content,
            tool_calls=tuple(
                ToolCall(name=call.function.name, arguments=_object(call.function.arguments))
                for call in self.tool_calls or ()
            ),
            tool_call_id=self.tool_call_id,
            name=self.name,
        )


class _Tool(_Part):
    type: Literal["function"]
    function: dict[str, Any]


class _Named(_Part):
    name: str


class _Choice(_Part):
    type: Literal["function"]
    function: _Named


class _StreamOptions(_Part):
    include_usage: bool = False


class ChatRequest(_Part):
    """The body of a request to /v1/chat/completions."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str = ""
    messages: Annotated[list[_Message], Field(min_length=1, max_length=2048)]
    tools: Annotated[list[_Tool], Field(max_length=1024)] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Choice | None = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=1, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None

    def offered(self) -> tuple[Tool, ...]:
        """The tools that the model is shown."""
        if self.tool_choice == "none" or not self.tools:
            return ()
        given = ({k: v for k, v in t.function.items() if v is not None} for t in self.tools)
        return tuple(Tool.model_validate(function) for function in given)

    def guide(self, guides: Guides, always: bool) -> Guide | None:
        """What holds the calls to their schemas: if `always`, for tools that are `strict`, and
        where a call is required.

        Raises ApiError: there is no such tool to call, or no grammar of the model's calls.
        """
        tools = self.offered()
        named = self.tool_choice.function.name if isinstance(self.tool_choice, _Choice) else None
        required = named is not None or self.tool_choice == "required"
        if not (
            required or always or any((tool.model_extra or {}).get("strict") for tool in tools)
        ):
            return None
        if named is not None:
            tools = tuple(tool for tool in tools if tool.name == named)
        if required and not tools:
            told = f"no tool {shorten(named)} is given" if named else "no tools are given"
            raise ApiError(400, f"tool_choice: {told}", "tool_choice")
        most = 1 if named is not None or self.parallel_tool_calls is False else None
        try:
            return guides.moves(tools, must_call=required, most=most)
        except UserError as error:
            raise ApiError(400, f"tools: {error}", "tools", "unsupported_parameter") from None

    def unsupported(self) -> str | None:
        """A field that would change the answer and is not known here, if there is one."""
        for name, value in (self.model_extra or {}).items():
            asks = value not in (None, {}, []) and value not in _NEUTRAL.get(name, ())
            if asks and name not in HARMLESS:
                return name
        return None

    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())


class Prepared(BaseModel):
    """A request, ready to be generated."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    request: ChatRequest
    prompt: list[int]
    sampling: Sampling


def prepare(body: bytes, format: ChatFormat, context: int, default_tokens: int) -> Prepared:
    """The request of `body` as a prompt and how to sample after it.

    Raises ApiError: no JSON, not what the API documents, not supported, too long for `context`, or
    nothing that the chat template takes.
    """
    try:
        text = body.decode("utf-8")
        raw, end = read_json(text, len(text) - len(text.lstrip()))
        if text[end:].strip():
            raise ValueError("more text after it")
    except ValueError as error:
        raise ApiError(400, f"the body is no JSON: {error}", code="invalid_json") from None
    try:
        request = ChatRequest.model_validate(raw)
        messages = [message.as_message() for message in request.messages]
        tools = request.offered()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ApiError(400, f"{where or 'body'}: {first['msg']}", where or None) from None
    except ValueError as error:
        raise ApiError(400, f"messages: {error}", "messages") from None
    field = request.unsupported()
    if field is not None:
        told = f"{shorten(field)} is not supported"
        raise ApiError(400, told, field[:60], "unsupported_parameter")
    try:
        prompt = format.prompt_ids(tools, messages)
    except UserError as error:
        told = " ".join(str(error).split())
        raise ApiError(400, told, "messages", Unasked.PROMPT_REFUSED) from None
    room = context - len(prompt)
    asked = request.max_completion_tokens or request.max_tokens
    if room < (asked or 1):
        raise ApiError(
            400,
            f"the context is {context} tokens; the prompt has {len(prompt)}"
            + (f" and {asked} are asked for" if asked else ""),
            "messages",
            "context_length_exceeded",
        )
    temperature = 1.0 if request.temperature is None else request.temperature
    sampling = Sampling(
        max_new_tokens=asked or min(room, default_tokens),
        temperature=temperature,
        num_samples=request.n or 1,
        seed=request.seed or 0,
    )
    return Prepared(request=request, prompt=prompt, sampling=sampling)


def _object(text: str) -> dict[str, Any]:
    value, end = read_json(text.strip() or "{}")
    if not isinstance(value, dict) or text.strip()[end:].strip():
        raise ValueError("the arguments of a call are a JSON object, as text")
    return value


def as_json(value: Any) -> bytes:
    """UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def models(name: str, started: int) -> dict[str, Any]:
    """The answer to GET /v1/models."""
    model = {"id": name, "object": "model", "created": started, "owned_by": "looptool"}
    return {"object": "list", "data": [model]}


def no_route(path: str) -> ApiError:
    """404 in OpenAI's shape."""
    return ApiError(HTTPStatus.NOT_FOUND, f"there is no {path[:200]} here", code="not_found")

"""The shapes of the answers that the roles ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from looptool.records import Label, Message, Tool, ToolCall


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class ParameterShape(_Shape):
    """A parameter, or a field of one. A list of these, and not JSON Schema with its free keys:
    endpoints can be held to it, and small models lose their way in schemas of schemas.
    """

    name: str
    type: Literal["string", "integer", "number", "boolean", "array", "object"]
    description: str
    required: bool
    allowed: list[str | int | float] = []
    default: str | int | float | bool | None = None
    item_type: Literal["string", "integer", "number", "boolean", "object"] | None = None
    fields: list[ParameterShape] = []

    def as_schema(self) -> dict[str, Any]:
        """JSON Schema of a value; `fields` are those of an object, or of an array's items."""
        value: dict[str, Any] = {"type": self.type, "description": self.description}
        inner = value
        if self.type == "array":
            items = self.item_type or ("object" if self.fields else "string")
            inner = value["items"] = {"type": items}
        if inner["type"] == "object":
            inner |= object_schema(self.fields)
        if self.allowed:
            inner["enum"] = self.allowed
        if self.default is not None:
            value["default"] = self.default
        return value


def object_schema(fields: Sequence[ParameterShape]) -> dict[str, Any]:
    """JSON Schema of an object with these fields."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: field.as_schema() for field in fields},
    }
    if required := [field.name for field in fields if field.required and field.default is None]:
        schema["required"] = required
    return schema


class ToolShape(_Shape):
    """A tool as its writer gives it."""

    name: str
    description: str
    parameters: list[ParameterShape]

    def tool(self) -> Tool:
        parameters = object_schema(self.parameters)
        return Tool(name=self.name, description=self.description, parameters=parameters)


class CallShape(_Shape):
    """One call."""

    name: str
    arguments: dict[str, Any]

    def call(self) -> ToolCall:
        return ToolCall(name=self.name, arguments=self.arguments)


class MoveShape(_Shape):
    """The Assistant's move: what it considers, the calls it makes, or what it says instead."""

    considered: str
    calls: list[CallShape] = []
    says: str = ""

    def label(self) -> Label:
        calls = tuple(call.call() for call in self.calls)
        return Label(calls=calls, content="" if calls else self.says.strip())


class TurnShape(_Shape):
    """One turn of a Planner's flow."""

    tools: list[str]
    values: list[str]
    intent: str
    left_out: str = ""
    given_later: str = ""


class PlanShape(_Shape):
    """A Planner's flow; no turns if the tools do not allow it."""

    turns: list[TurnShape]


class LineShape(_Shape):
    """What a User says. The key keeps small models from answering as the assistant."""

    person_says: str


class ResultShape(_Shape):
    """What a tool returns."""

    result: dict[str, Any]


class OpinionShape(_Shape):
    """A judge's opinion of two moves, A and B."""

    analysis: str
    a_is_right: bool
    b_is_right: bool
    error_analysis: str
    correct_approach: str


Defect = Literal[
    "none",
    "unclear request",
    "incoherent conversation",
    "names a function",
    "wrong function",
    "wrong value",
    "missing call",
    "needless call",
    "should ask",
    "other",
]


class CheckShape(_Shape):
    """A judge's opinion of a generated sample."""

    analysis: str
    sound: bool
    defect: Defect


class SaidShape(_Shape):
    """One message of a conversation."""

    role: Literal["user", "assistant", "tool"]
    content: str
    calls: list[CallShape] = []
    name: str | None = None

    def message(self) -> Message:
        calls = tuple(call.call() for call in self.calls)
        return Message(role=self.role, content=self.content, tool_calls=calls, name=self.name)


class SampleShape(_Shape):
    """A new sample; `new_tools` stand beside those of the old one."""

    new_tools: list[ToolShape]
    conversation: list[SaidShape] = Field(min_length=1)
    move: MoveShape


class GroupShape(_Shape):
    """A group of operations of the Context Tree."""

    name: str
    operations: list[str]


class TreeShape(_Shape):
    """The branches of one domain."""

    groups: list[GroupShape]


def plain_schema(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a shape, without the titles that pydantic adds."""
    plain: dict[str, Any] = _untitled(shape.model_json_schema())
    return plain


def _untitled(schema: Any, inside_properties: bool = False) -> Any:
    if isinstance(schema, dict):
        return {
            key: _untitled(value, key in ("properties", "$defs") and not inside_properties)
            for key, value in schema.items()
            if key not in ("title", "description") or inside_properties
        }
    return [_untitled(item) for item in schema] if isinstance(schema, list) else schema

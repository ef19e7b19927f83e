"""The shapes of the answers that the roles ask for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from looptool.records import Label, Message, Tool, ToolCall


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolShape(_Shape):
    """A tool as its writer gives it."""

    name: str
    description: str
    parameters: dict[str, Any]

    def tool(self) -> Tool:
        return Tool(name=self.name, description=self.description, parameters=self.parameters)


class CallShape(_Shape):
    """One call."""

    name: str
    arguments: dict[str, JsonValue]

    def call(self) -> ToolCall:
        return ToolCall(name=self.name, arguments=self.arguments)


class MoveShape(_Shape):
    """The Assistant's move: what it considers, the calls it makes, or what it says instead."""

    considered: str
    calls: list[CallShape]
    says: str

    def label(self) -> Label:
        calls = tuple(call.call() for call in self.calls)
        return Label(calls=calls, content="" if calls else self.says.strip())


class TurnShape(_Shape):
    """One turn of a Planner's flow."""

    tools: list[str]
    intent: str
    left_out: str = ""
    given_later: str = ""


class PlanShape(_Shape):
    """A Planner's flow; `possible` is false if the tools do not allow it."""

    possible: bool
    turns: list[TurnShape]


class LineShape(_Shape):
    """What a User says."""

    message: str


class ResultShape(_Shape):
    """What a tool returns."""

    result: dict[str, JsonValue]


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
    conversation: list[SaidShape]
    move: MoveShape


class GroupShape(_Shape):
    """A group of operations of the Context Tree."""

    name: str
    operations: list[str]


class TreeShape(_Shape):
    """The branches of one domain."""

    groups: list[GroupShape]

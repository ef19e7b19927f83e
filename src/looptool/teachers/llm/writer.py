"""Writes tools, and grows the Context Tree that they hang on."""

from __future__ import annotations

import re

from looptool.records import Tool
from looptool.seed.constraint_tree import snake_case
from looptool.teachers.base import ToolBrief, TreePath
from looptool.teachers.llm.calls import UnusableError
from looptool.teachers.llm.prompts import quote, render
from looptool.teachers.llm.shapes import ToolShape, TreeShape
from looptool.teachers.llm.voice import Voice
from looptool.toolmatch import check_tool

MAX_PARAMETERS = 10
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{1,63}")


async def write_tool(voice: Voice, brief: ToolBrief) -> Tool | None:
    """A sound tool for the operation at the brief's path, or None."""
    chat = render(
        "tool",
        path=quote(list(brief.path)),
        constraints=quote(list(brief.constraints)),
        number=brief.seed % 1000,
    )
    try:
        return await voice.ask("tool writer", chat, ToolShape, sound_tool, sample=brief.seed)
    except UnusableError:
        return None


def sound_tool(shape: ToolShape) -> Tool:
    """The tool of a shape. ValueError for one that a careful provider would not publish."""
    tool = shape.tool()
    if not _NAME.fullmatch(tool.name):
        raise ValueError(f"name: {tool.name!r} is no function name")
    if not tool.description.strip():
        raise ValueError("description: is empty")
    check_tool(tool)
    properties = tool.parameters.get("properties")
    if not isinstance(properties, dict) or not 1 <= len(properties) <= MAX_PARAMETERS:
        raise ValueError(f"parameters.properties: write between 1 and {MAX_PARAMETERS}")
    for name, schema in properties.items():
        if not isinstance(schema, dict) or not schema.keys() & {"type", "enum", "$ref", "anyOf"}:
            raise ValueError(f"parameters.properties.{name}: has no type")
    required = tool.parameters.get("required", [])
    if not isinstance(required, list) or not set(required) <= properties.keys():
        raise ValueError("parameters.required: names what is no property")
    return tool


async def grow_domain(voice: Voice, name: str) -> tuple[TreePath, ...]:
    """The leaves of one domain of the Context Tree, each once; none if nothing usable comes."""
    domain = snake_case(name) or name

    def leaves(shape: TreeShape) -> tuple[TreePath, ...]:
        paths = [
            (domain, snake_case(group.name), snake_case(operation))
            for group in shape.groups
            for operation in group.operations
        ]
        if not paths or not all(all(path) for path in paths):
            raise ValueError("groups: every group and operation needs a name")
        return tuple(dict.fromkeys(paths))

    chat = render("tree", domain=quote(name))
    try:
        return await voice.ask("tree", chat, TreeShape, leaves)
    except UnusableError:
        return ()

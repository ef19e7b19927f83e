"""Writes tools, and grows the Context Tree that they hang on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from looptool.records import Tool
from looptool.seed.constraint_tree import snake_case
from looptool.teachers.base import ToolBrief, TreePath
from looptool.teachers.llm.calls import UnusableError
from looptool.teachers.llm.prompts import quote, render
from looptool.teachers.llm.shapes import ParameterShape, ToolShape, TreeShape
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
    _check_parameters(shape.parameters, "parameters")
    check_tool(tool)
    return tool


def _check_parameters(parameters: Sequence[ParameterShape], where: str) -> None:
    if not 1 <= len(parameters) <= MAX_PARAMETERS:
        raise ValueError(f"{where}: write between 1 and {MAX_PARAMETERS}")
    names = [parameter.name for parameter in parameters]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{where}: {repeated} comes twice")
    for parameter in parameters:
        at = f"{where}.{parameter.name}"
        if not parameter.name.strip() or not parameter.description.strip():
            raise ValueError(f"{at}: needs a name and a description")
        if "object" in (parameter.type, parameter.item_type):
            _check_parameters(parameter.fields, f"{at}.fields")


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

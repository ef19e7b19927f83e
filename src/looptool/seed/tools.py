"""The tools of a run: written by the teacher from both trees, or read from the user's file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from looptool.config import SeedConfig
from looptool.errors import UserError
from looptool.jsonvalue import read_json, shorten
from looptool.records import Record, Tool
from looptool.seed.checks import Fault, same_tool
from looptool.seed.constraint_tree import draw_constraints, snake_case
from looptool.seed.context_tree import held_out_branches, leaves, spread
from looptool.seed.dice import stable
from looptool.teachers.base import ToolBrief, ToolWriter, TreePath
from looptool.toolmatch import check_tools
from looptool.work import Work

OWN = "own"
"""The domain of tools that a user gave."""
_NAMED = 8
"""More tools than that are counted."""


class Written(Record):
    """A tool and its place in the Context Tree."""

    tool: Tool
    path: TreePath


class _Attempt(Record):
    tool: Tool | None


class _Grown(Record):
    paths: tuple[TreePath, ...]


def write_tools(
    config: SeedConfig, seed: int, teacher: ToolWriter, work: Work, concurrency: int
) -> tuple[list[Written], list[Written], Counter[str]]:
    """Tools to train on, held-out tools from other branches, and what was rejected.

    Raises UserError where `config.domains` names what the teacher can make nothing of.
    """
    paths = _tree(config, teacher, work, concurrency)
    held = held_out_branches(paths, config.held_out_share, seed)
    sides: tuple[list[TreePath], list[TreePath]] = ([], [])
    for path in paths:
        sides[path[:2] in held].append(path)
    num_held = min(config.tools - 1, max(1, round(config.tools * config.held_out_share)))
    num_held = num_held if sides[1] and config.tools > 1 else 0
    briefs = [
        ToolBrief(
            path=path,
            seed=stable(seed, *path, use) >> 16,
            constraints=draw_constraints(stable(seed, *path, use) >> 16).words(),
        )
        for side, number in zip(sides, (config.tools - num_held, num_held), strict=True)
        for path, use in spread(side, number, seed)
    ]

    async def write(brief: ToolBrief) -> _Attempt:
        return _Attempt(tool=await teacher.write_tool(brief))

    attempts = work.map(
        "seed-tools",
        briefs,
        write,
        key=lambda brief: f"{'/'.join(brief.path)}:{brief.seed:x}",
        result=_Attempt,
        concurrency=concurrency,
    )
    return _distinct(briefs, attempts, held)


def _tree(config: SeedConfig, teacher: ToolWriter, work: Work, concurrency: int) -> list[TreePath]:
    """The leaves of the Context Tree: the vocabulary's, or grown by the teacher from names."""
    if not config.domains:
        return [leaf.path for leaf in leaves()]

    async def grow(name: str) -> _Grown:
        return _Grown(paths=await teacher.grow_domain(name))

    grown = work.map(
        "seed-tree",
        config.domains,
        grow,
        key=lambda name: name,
        result=_Grown,
        concurrency=concurrency,
    )
    for name, domain in zip(config.domains, grown, strict=True):
        if not domain.paths:
            raise UserError(
                f"data.domains: nothing came of {name!r}; start a new run with another name for it"
            )
    return list(dict.fromkeys(path for domain in grown for path in domain.paths))


def _distinct(
    briefs: list[ToolBrief], attempts: list[_Attempt], held: frozenset[tuple[str, str]]
) -> tuple[list[Written], list[Written], Counter[str]]:
    """Sort onto the two sides; a near-duplicate of an earlier tool is rejected."""
    rejected: Counter[str] = Counter()
    sides: tuple[list[Written], list[Written]] = ([], [])
    by_name: dict[str, list[Written]] = {}
    for brief, attempt in sorted(
        zip(briefs, attempts, strict=True), key=lambda pair: pair[0].path[:2] not in held
    ):
        if attempt.tool is None:
            rejected[Fault.NO_TOOL] += 1
            continue
        keys = {f"n:{snake_case(attempt.tool.name)}", f"d:{attempt.tool.description}"}
        rivals = [one for key in keys for one in by_name.get(key, [])]
        if any(same_tool(attempt.tool, one.tool) for one in rivals):
            rejected[Fault.DUPLICATE_TOOL] += 1
            continue
        written = Written(tool=attempt.tool, path=brief.path)
        for key in keys:
            by_name.setdefault(key, []).append(written)
        sides[brief.path[:2] in held].append(written)
    return sides[0], sides[1], rejected


def read_tools(path: Path) -> list[Written]:
    """The user's tools: a JSON list of function schemas, bare or as `{"type": "function"}`.

    Raises UserError naming the file and the tool that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        raw, end = read_json(text, len(text) - len(text.lstrip()))
        if text[end:].strip():
            raise ValueError(f"more text after the list: {shorten(text[end:].strip(), 30)}")
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; data.tools_file names a JSON list of tools"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from None
    if isinstance(raw, dict):
        raw = raw.get("tools", raw.get("functions"))
    if not isinstance(raw, list) or not raw:
        raise UserError(f"{path}: holds no list of tools")
    tools = [_read_tool(path, n, each) for n, each in enumerate(raw, 1)]
    try:
        check_tools(tools)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return [Written(tool=tool, path=(OWN, _family(tool), tool.name)) for tool in tools]


@runtime_checkable
class Choosy(Protocol):
    """A teacher that cannot write requests for every tool."""

    def why_unusable(self, tool: Tool) -> str | None:
        """Why not for this one, in a few words; None if it can."""
        ...


def usable(
    file: str, tools: list[Written], teacher: object, say: Callable[[str], object]
) -> tuple[list[Written], str]:
    """The user's tools less those that the teacher can write no request for, and which those are,
    in words; they are said too. Raises UserError if none is left.
    """
    if not isinstance(teacher, Choosy):
        return tools, ""
    reasons = [(one, teacher.why_unusable(one.tool)) for one in tools]
    kept = [one for one, reason in reasons if reason is None]
    told = [f"{one.tool.name} ({_cut(reason)})" for one, reason in reasons if reason]
    if not told:
        return tools, ""
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    named = f"{', '.join(told[:_NAMED])}{more}"
    if not kept:
        raise UserError(
            f"{file}: this teacher can write a request for none of the tools: {named}; "
            "change their schemas, or take a teacher of type llm"
        )
    say(f"{file}: {len(told)} of {len(tools)} tools left out, no request can be written: {named}")
    return kept, named


def _cut(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= 200 else f"{words[:199]}…"


def _read_tool(path: Path, number: int, raw: Any) -> Tool:
    if isinstance(raw, dict) and isinstance(raw.get("function"), dict):
        raw = raw["function"]
    for other in ("inputSchema", "input_schema"):  # MCP's name, and Anthropic's
        if isinstance(raw, dict) and other in raw and "parameters" not in raw:
            raise UserError(f'{path}: tool {number}: write its {other} as "parameters"')
    try:
        return Tool.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:3])) or "it"
        raise UserError(f"{path}: tool {number}: {where}: {first['msg']}") from None


def _family(tool: Tool) -> str:
    return snake_case(tool.name.split(".")[0]) if "." in tool.name else "own"

"""How the tools of one file are written once, however many of its records use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looptool.records import Tool


class ToolTable:
    """The tools of one file, each once: hash to tool, and which are not yet written."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.unwritten: list[str] = []
        # By identity, which is faster than hashing; holding the tool keeps its id from reuse.
        self._seen: dict[int, tuple[Tool, str]] = {}

    def refer(self, tool: Tool) -> str:
        """The hash of `tool`, which is noted as unwritten when it is new."""
        known = self._seen.get(id(tool))
        if known is not None:
            return known[1]
        key = tool.hash()
        if key not in self.tools:
            self.tools[key] = tool
            self.unwritten.append(key)
        self._seen[id(tool)] = (tool, key)
        return key

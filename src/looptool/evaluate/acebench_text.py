"""An answer as the text that ACEBench's code reads: calls as `[Fn(a='x', b=1)]`."""

from __future__ import annotations

import ast
import json
import re

from looptool.evaluate.answers import Answer

_OPERATOR = re.compile(r"[-+*/%@<>&|^]")
_MOST_PAIRS = 2500
"""Of brackets that are looked into; no answer needs as many."""


def as_said(answer: Answer) -> str:
    """The text as it is; calls written out, if the model makes them where text was asked for."""
    return as_text(answer) if answer.calls else answer.text


def as_text(answer: Answer) -> str:
    """Calls as `[Fn(a='x', b=1)]`.

    The official code evaluates arithmetic in what it reads. So names must be plain, and a text that
    is no call is passed on only if there is nothing in it to evaluate.
    """
    if not answer.calls:
        return answer.text if _inert(answer.text) else "[]"
    written = []
    for name, text in answer.calls:
        try:
            arguments = json.loads(text)
        except ValueError:
            return "[]"
        plain = re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII)
        if not plain or not isinstance(arguments, dict):
            return "[]"
        if not all(re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) for key in arguments):
            return "[]"
        inside = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        written.append(f"{name}({inside})")
    return f"[{', '.join(written)}]"


def _inert(text: str) -> bool:
    """Whether no expression in brackets in `text` holds anything that is evaluated."""
    if "[" not in text or not (_OPERATOR.search(text) or "lambda" in text):
        return True
    if text.count("[") * text.count("]") > _MOST_PAIRS:  # looking took minutes
        return False
    for squeezed in (text, "".join(text.split())):
        for start in (at for at, mark in enumerate(squeezed) if mark == "["):
            for end in (at + 1 for at, mark in enumerate(squeezed) if mark == "]" and at > start):
                try:
                    tree = ast.parse(squeezed[start:end], mode="eval")
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
                if any(isinstance(node, ast.BinOp | ast.Lambda) for node in ast.walk(tree)):
                    return False
    return True

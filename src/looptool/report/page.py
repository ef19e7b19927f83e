"""report.html: one file that needs nothing else, and in which nothing from the data can run.

Data goes in as JSON in a script element that is no script; the page's own code shows it as text.
A Content-Security-Policy allows exactly that code and that style, by hash, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html import escape
from importlib.resources import files
from typing import Any

from looptool.report.figures import figures
from looptool.report.history import read_history
from looptool.report.samples import Browser
from looptool.runs.paths import Paths
from looptool.runs.store import write_atomic

SCRIPTS = ("dom.js", "charts.js", "sections.js", "labels.js", "browser.js", "main.js")
MAX_SAMPLES = 11_000_000
"""Characters of JSON that samples may take: the page stays under 15 MB."""
MAX_EDITS = 300


def write_report(paths: Paths) -> None:
    """Write the run's report.html, atomically, from what the run has stored so far."""
    history = read_history(paths)
    browser = Browser(history)
    edits = browser.edits()
    data = figures(history) | {
        "edits": {
            "total": len(edits),
            "shown": [browser.edit_entry(*edit) for edit in edits[:MAX_EDITS]],
        },
        "browser": browser.embedded(MAX_SAMPLES),
    }
    write_atomic(paths.report, page(history.name, data).encode("utf-8", "replace"))


def page(title: str, data: dict[str, Any]) -> str:
    """The page's HTML."""
    style = _file("page.css")
    script = '(() => {\n"use strict";\n' + "\n".join(map(_file, SCRIPTS)) + "})();\n"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    slots = {
        "policy": escape(policy),
        "title": escape(title),
        "style": style,
        "data": inert_json(data),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: slots[slot[1]], _file("page.html"))


def inert_json(value: Any) -> str:
    r"""JSON that may stand in a script element: `<`, `>`, `&`, U+2028, U+2029 as `\uXXXX`.

    A number that JSON does not know (NaN, infinity) becomes null.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _file(name: str) -> str:
    return (files("looptool.report") / name).read_text("utf-8")

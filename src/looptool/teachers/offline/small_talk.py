"""Turns that want no tool: greetings, thanks, general questions (`seed/chat.toml`)."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from looptool.records import Label
from looptool.teachers.offline.manners import line
from looptool.teachers.offline.script import Story

_PATH = Path(__file__).parents[2] / "seed" / "chat.toml"


@cache
def _chat() -> dict[str, Any]:
    return tomllib.loads(_PATH.read_text(encoding="utf-8"))


def opening(rng: Random) -> tuple[str, Label]:
    """A message that begins a conversation without a task, and its answer."""
    chat = _chat()
    if rng.random() < 0.25:
        greeting = rng.choice(chat["greetings"])
        if rng.random() < 0.5:
            return greeting, Label(content=rng.choice(chat["welcomes"]))
        question = rng.choice(chat["questions"])
        return f"{greeting.rstrip('.!?')}! {question['q']}", Label(content=question["a"])
    question = rng.choice(chat["questions"])
    lead = rng.choice(chat["leads"]) if rng.random() < 0.35 else ""
    asked = lead + (question["q"][0].lower() + question["q"][1:] if lead else question["q"])
    if question["q"][0] == "I" or (lead and question["q"].split()[0] in chat["names"]):
        asked = lead + question["q"]
    return asked, Label(content=question["a"])


def after(story: Story) -> tuple[str, Label]:
    """Thanks, or a remark, after the tools have answered."""
    rng = story.rng
    if rng.random() < 0.75:
        return line("follow", "thanks", rng), Label(content=line("close", "welcome", rng))
    return opening(rng)

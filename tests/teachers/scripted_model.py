"""A language model that plays every role of the teacher by rule, from what the prompts quote."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from .scripted_server import Body

_QUOTE = re.compile(r"<(data-[0-9a-f]{16})>\n(.*?)\n</\1>", re.DOTALL)


def quoted(text: str) -> list[Any]:
    """What stands between fences, in order."""
    return [json.loads(found) for _, found in _QUOTE.findall(text)]


def outside(text: str) -> str:
    """What stands outside all fences: instructions."""
    return _QUOTE.sub("", text)


def play(body: Body) -> str:
    """An answer of the shape that is asked for."""
    prompt = body["messages"][1]["content"]
    at = prompt.rindex("Its schema:\n") + len("Its schema:\n")
    wanted = json.JSONDecoder().raw_decode(prompt, at)[0]["properties"]
    draw = hashlib.sha256(json.dumps([body["messages"], body.get("seed")]).encode()).hexdigest()
    return json.dumps(_ROLES[next(iter(wanted))](quoted(prompt[:at]), draw))


def _tool(data: list[Any], draw: str) -> Any:
    domain, _, operation = data[0]
    return {
        "name": f"{domain}_{operation}_{draw[:3]}",
        "description": f"Does {operation} in {domain}.",
        "parameters": [
            {"name": "city", "type": "string", "description": "Where.", "required": True},
            {"name": "guests", "type": "integer", "description": "How many.", "required": False},
        ],
    }


def _plan(data: list[Any], draw: str) -> Any:
    tools, _, needs = data
    names = [tool["name"] for tool in tools]
    turns = []
    for number, need in enumerate(needs):
        used = {"irrelevant": 0, "chat": 0, "parallel": 2, "sequential": 2}.get(need, 1)
        called = (names * 2)[:used]
        cities = " and ".join(f"{name.replace('_', ' ')} in City{number}" for name in called)
        turn = {"tools": called, "values": [], "intent": f"Wants {cities or 'a chat'}."}
        if need == "missing_parameter":
            turn |= {"left_out": "the city", "given_later": f"City{number}", "intent": "Wants it."}
        turns.append(turn)
    return {"turns": turns}


def _line(data: list[Any], draw: str) -> Any:
    persona, _, intent = data
    return {"person_says": f"{intent} ({persona[1]})"}


def _move(data: list[Any], draw: str) -> Any:
    tools, messages = data
    said = messages[-1]["content"] if messages[-1]["role"] == "user" else ""
    calls = [
        {"name": tool["name"], "arguments": {"city": city}}
        for tool in tools
        for city in re.findall(rf"{tool['name'].replace('_', ' ')} in (\w+)", said)
    ]
    if "given it" not in said and (late := re.search(r"left out, the city: (\w+)", said)):
        calls = [{"name": tools[0]["name"], "arguments": {"city": late[1]}}]
    return {"considered": "", "calls": calls, "says": "" if calls else "Which city?"}


def _opinion(data: list[Any], draw: str) -> Any:
    _, _, *moves = data
    right = [move["calls"] != [] for move in moves]
    return {
        "analysis": "Calls are right.",
        "a_is_right": right[0],
        "b_is_right": right[1],
        "error_analysis": "It did not call.",
        "correct_approach": "Call.",
    }


def _sample(data: list[Any], draw: str) -> Any:
    _, _, _, right, _, _ = data
    city = f"Town{draw[:6]}"
    calls = [call | {"arguments": {"city": city}} for call in right["calls"]]
    return {
        "new_tools": [_tool([["a", "b", "c"]], draw)],
        "conversation": [
            {"role": "user", "content": f"Now {city}, for {draw[6:12]}.", "calls": [], "name": None}
        ],
        "move": {"considered": "", "calls": calls, "says": "" if calls else "Where?"},
    }


def _check(data: list[Any], draw: str) -> Any:
    return {"analysis": "", "sound": draw[0] > "1", "defect": "none"}


def _analysed(data: list[Any], draw: str) -> Any:
    return _opinion(data, draw) if len(data) == 4 else _check(data, draw)


_ROLES: dict[str, Callable[[list[Any], str], Any]] = {
    "name": _tool,
    "turns": _plan,
    "person_says": _line,
    "considered": _move,
    "result": lambda data, draw: {"result": {"id": draw[:8], "ok": True}},
    "analysis": _analysed,
    "new_tools": _sample,
    "groups": lambda data, draw: {"groups": [{"name": "Tours", "operations": ["find tour"]}]},
}

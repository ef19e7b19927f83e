"""How many comparisons ToolMatch makes in a second on one core: a table, then the same as JSON.

Promised are over 50,000 of each kind. Processor time counts, which a busy machine lengthens too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from looptool.records import Label, Match, ParsedOutput, Tool, ToolCall
from looptool.toolmatch import match, validate_call

PROMISED = 50_000
BOOK = Tool(
    name="book_table",
    description="Book a table in a restaurant.",
    parameters={
        "type": "object",
        "properties": {
            "restaurant": {"type": "string"},
            "date": {"type": "string", "format": "date"},
            "time": {"type": "string"},
            "people": {"type": "integer", "default": 2},
            "outside": {"type": "boolean", "default": False},
            "contact": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "phone": {"type": "string"},
                    "language": {"type": "string", "default": "en"},
                },
                "required": ["name"],
            },
        },
        "required": ["restaurant", "date", "time"],
    },
)
FLAT: dict[str, object] = {"restaurant": "Maru", "date": "2026-03-01", "time": "19:30", "people": 4}
NESTED = FLAT | {"contact": {"name": "Ada", "phone": "555"}}
NESTED_SPELLED_OUT = NESTED | {
    "outside": False,
    "contact": {"phone": "555", "name": "Ada", "language": "en"},
}
TOOLS = [BOOK.model_copy(update={"name": f"other_{number}"}) for number in range(19)] + [BOOK]


def calls(*arguments: dict[str, object]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall.model_validate({"name": BOOK.name, "arguments": a}) for a in arguments)


def case(got: tuple[ToolCall, ...], want: tuple[ToolCall, ...]) -> Callable[[], Match]:
    prediction, label = ParsedOutput(calls=got, begins_call=bool(got)), Label(calls=want)
    return lambda: match(prediction, label, TOOLS)


def cases() -> dict[str, Callable[[], Match]]:
    three = calls(FLAT, NESTED, FLAT | {"people": 7})
    return {
        "one call, equal": case(calls(FLAT), calls(FLAT)),
        "one call, other value": case(calls(FLAT), calls(FLAT | {"people": 5})),
        "one call, nested": case(calls(NESTED), calls(NESTED)),
        "one call, defaults spelled out": case(calls(NESTED_SPELLED_OUT), calls(NESTED)),
        "three calls, shuffled": case(three, three[::-1]),
        "no call": case((), ()),
    }


def rate(compare: Callable[[], Match], seconds: float = 0.5) -> float:
    """Comparisons a second; the best of three, since other work can only slow it down."""
    best = 0.0
    for _ in range(3):
        done, start = 0, time.process_time()
        while (spent := time.process_time() - start) < seconds / 3:
            for _ in range(100):
                compare()
            done += 100
        best = max(best, done / spent)
    return best


def main() -> None:
    rates = {name: round(rate(compare)) for name, compare in cases().items()}
    call = calls(NESTED)[0]
    checks = round(rate(lambda: validate_call(call, BOOK)))  # no comparison: nothing is promised
    shown = rates | {"against the schema (validate_call)": checks}
    for name, per_second in shown.items():
        print(f"{name:<36}{per_second:>12,} /s")
    print(json.dumps({"toolmatch_per_second": shown}))
    if min(rates.values()) <= PROMISED:
        sys.exit("slower than promised")


if __name__ == "__main__":
    main()

"""How fast a model answers BFCL, and how fast the answers are scored.

    python benchmarks/bfcl_speed.py MODEL [QUESTIONS PER CATEGORY]

Answers the first questions of the four Python categories (all 1,000, if no number is given), then
scores them. The checkers' environment and the weights are made ready before the clock starts.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from looptool.evaluate import bfcl
from looptool.evaluate.contender import find_contender
from looptool.evaluate.environment import cache_folder, checker_python
from looptool.evaluate.players import EnginePlayer
from looptool.evaluate.suites import engine_player
from looptool.runs.progress import Shown, clock


def main(model: str, limit: int | None) -> None:
    shown = Shown()
    python = checker_python(cache_folder(), shown)
    player = engine_player(find_contender(model, cache_folder()), max_new_tokens=512)
    assert isinstance(player, EnginePlayer) and player.engine
    with tempfile.TemporaryDirectory() as folder:
        timings = []
        for _ in ("answer and score", "score alone"):  # the second finds every answer made
            started = time.perf_counter()
            result = bfcl.evaluate(player, bfcl.PYTHON, limit, python, Path(folder), shown)
            timings.append(time.perf_counter() - started)
    number = sum(len(category.ids) for category in result.categories)
    answering = timings[0] - timings[1]
    print(f"{number} questions answered in {clock(answering)} ({answering / number:.2f} s each)")
    print(f"scored in {timings[1]:.1f} s")
    for category in result.categories:
        print(f"{category.name}: {category.score.accuracy:.1%}, {category.call_rate:.0%} calls")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)

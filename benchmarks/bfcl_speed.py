"""How long the four Python categories of BFCL take, 1,000 questions: to answer, and to score.

    python benchmarks/bfcl_speed.py                                # the embedded model, in full
    python benchmarks/bfcl_speed.py runs/quickstart --questions 4  # does it run?

Promised in full: answered within 12 minutes, scored within 30 seconds. The checkers' environment
and the weights are made ready before the clock starts; the environment needs the package index
once, which is why `make bench` leaves this out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from looptool.evaluate import bfcl
from looptool.evaluate.contender import find_contender
from looptool.evaluate.environment import cache_folder, checker_python
from looptool.evaluate.players import EnginePlayer
from looptool.evaluate.suites import engine_player
from looptool.runs.progress import Shown

PROMISED_ANSWERING, PROMISED_SCORING = 720.0, 30.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--questions", type=int, help="of each category, instead of all")
    options = parser.parse_args()
    shown = Shown()
    python = checker_python(cache_folder(), shown)
    player = engine_player(find_contender(options.model, cache_folder()), max_new_tokens=512)
    assert isinstance(player, EnginePlayer) and player.engine
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in ("answer and score", "score alone"):  # the second finds every answer made
            started = time.perf_counter()
            result = bfcl.evaluate(
                player, bfcl.PYTHON, options.questions, python, Path(folder), shown
            )
            seconds.append(time.perf_counter() - started)
    both, scoring = seconds
    figures = {
        "questions": sum(len(category.ids) for category in result.categories),
        "answering_seconds": round(both - scoring, 1),
        "scoring_seconds": round(scoring, 1),
    }
    for name, value in figures.items():
        print(f"{name:<20}{value:>10,}")
    for category in result.categories:
        print(
            f"{category.name:<20}{category.score.accuracy:>10.1%}{category.call_rate:>6.0%} calls"
        )
    print(json.dumps({"bfcl_speed": {"model": options.model, **figures}}))
    whole = all(category.whole for category in result.categories)
    if whole and (both - scoring > PROMISED_ANSWERING or scoring > PROMISED_SCORING):
        sys.exit("slower than promised")


if __name__ == "__main__":
    main()

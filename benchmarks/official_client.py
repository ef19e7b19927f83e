"""The official `bfcl generate` client against a served model, beside `looptool eval`'s own way.

    python benchmarks/official_client.py                                # the embedded model
    python benchmarks/official_client.py runs/laptop --questions 50     # of each category
    python benchmarks/official_client.py --questions 2 --categories simple  # does it run?

Both ways answer the same questions, and the official checker scores both. Promised: the same score
in each single-turn category, but for answers at a near tie, which other neighbours in a batch may
round apart; more than one question in fifty apart ends with an error. What was answered under --out
is not asked again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from looptool.evaluate import bfcl
from looptool.evaluate.contender import find_contender
from looptool.evaluate.environment import cache_folder, checker_python
from looptool.evaluate.players import EnginePlayer
from looptool.evaluate.suites import engine_player, pick
from looptool.evaluate.worker import Worker
from looptool.runs.progress import Shown
from looptool.serve.server import ChatServer

APART = 0.02
THREADS = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--questions", type=int, default=50, help="of each category")
    parser.add_argument("--categories", default="single_turn")
    parser.add_argument("--checkpoint")
    parser.add_argument("--out", type=Path, default=Path("eval/official-client"))
    options = parser.parse_args()
    shown, out = Shown(), options.out.resolve()
    categories = pick(options.categories, bfcl.CATEGORIES, bfcl.GROUPS)
    python = checker_python(cache_folder(), shown)
    contender = find_contender(options.model, cache_folder(), options.checkpoint)
    player = engine_player(contender, max_new_tokens=512)
    assert isinstance(player, EnginePlayer)
    direct = bfcl.evaluate(player, categories, options.questions, python, out / "direct", shown)
    ids = {category.name: category.ids for category in direct.categories}
    served = out / "served"
    served.mkdir(parents=True, exist_ok=True)
    (served / "test_case_ids_to_generate.json").write_text(json.dumps(ids))
    server = ChatServer(player.engine, player.name, "127.0.0.1", 0)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        generate(python, player.name, server.url, served)
    finally:
        server.shutdown()
        server.close()
    rows, apart = [], False
    with Worker(python, bfcl.SCRIPT, player.name, served, out / "checker.log") as worker:
        for category in direct.categories:
            file = f"result/{player.name}/BFCL_v3_{category.name}_result.json"
            verdict = worker.ask(
                "score",
                category=category.name,
                result=str(served / file),
                score=str(served / "score"),
            )
            assert verdict["total"] == len(category.ids), f"{category.name}: questions are missing"
            differing = set(verdict["failed"]) ^ set(failed(category.ids, category.right))
            apart |= len(differing) > APART * len(category.ids)
            mine, theirs = results(out / "direct" / file), results(served / file)
            rows.append(
                {
                    "category": category.name,
                    "questions": len(category.ids),
                    "direct_right": sum(category.right),
                    "served_right": verdict["correct"],
                    "judged_apart": sorted(differing),
                    "same_answers": sum(mine[id] == theirs[id] for id in category.ids),
                }
            )
    print(f"{'category':<24}{'questions':>10}{'direct':>8}{'served':>8}{'same answers':>14}")
    for row in rows:
        print(
            f"{row['category']:<24}{row['questions']:>10}{row['direct_right']:>8}"
            f"{row['served_right']:>8}{row['same_answers']:>14}"
        )
    print(json.dumps({"official_client": {"model": options.model, "categories": rows}}))
    if apart:
        sys.exit("the two ways are further apart than promised")


def generate(python: Path, name: str, url: str, folder: Path) -> None:
    """The official command line, on the questions that `folder` lists."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {
        "BFCL_PROJECT_ROOT": str(folder),
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": "none",
    }
    command = [str(python), str(bfcl.SCRIPT), name, "generate", "--model", name, "--run-ids"]
    threads = ["--num-threads", str(THREADS), "--temperature", "0"]
    subprocess.run([*command, *threads], cwd=folder, env=environment, check=True)


def failed(ids: Sequence[str], right: Sequence[bool]) -> list[str]:
    return [id for id, good in zip(ids, right, strict=True) if not good]


def results(file: Path) -> dict[str, object]:
    """What each question got, calls and texts apart from how they were cut and timed."""
    rows = (json.loads(line) for line in file.read_text("utf-8").splitlines() if line)
    return {row["id"]: row["result"] for row in rows}


if __name__ == "__main__":
    main()

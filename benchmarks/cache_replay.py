"""How fast a rerun gets its calls back from the cache: a table, then the same as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

from looptool.config import LlmTeacherConfig
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.calls import Answer, Ask
from looptool.teachers.llm.client import Client

PROMPT = "Weigh the two candidate calls against the conversation. " * 60
ANSWER = Answer(json.dumps({"analysis": "word " * 150, "a_is_right": True}), "", 900, 180)


def ask(number: int) -> Ask:
    chat = (
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": f"case {number}"},
    )
    return Ask("judge", "m", chat, {"type": "object"}, temperature=0.0, max_tokens=64)


async def replay(client: Client, calls: int) -> None:
    for number in range(calls):
        answer = await client.complete(ask(number))
        assert answer == ANSWER


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=10_000)
    calls = options.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.sqlite"
        with CallCache(path) as cache:
            start = time.perf_counter()
            for number in range(calls):
                cache.put(ask(number).key(), ANSWER, "judge", "m", 0.0)
            written = time.perf_counter() - start
        with CallCache(path) as cache:
            config = LlmTeacherConfig(base_url="http://127.0.0.1:9/v1", model="m")
            client, memory = Client(config, cache), peak_mb()
            start = time.perf_counter()
            asyncio.run(replay(client, calls))
            seconds = time.perf_counter() - start
    figures = {
        "replayed_per_second": round(calls / seconds),
        "written_per_second": round(calls / written),
        "peak_memory_growth_mb": round(peak_mb() - memory, 1),
    }
    for name, value in figures.items():
        print(f"{name:<24}{value:>12,}")
    print(json.dumps({"cache_replay": figures}))


if __name__ == "__main__":
    main()

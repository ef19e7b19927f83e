"""Does the LLM client keep an endpoint busy? Calls a second against what the endpoint can do.

The endpoint is tests/teachers/scripted_server.py in a process of its own: 50 ms a call, at most 64
at once, so 1280 calls a second if it took no time for anything else. What it can do is measured
beside that: 64 bare connections that write one request, made once, again and again. Prints a
table, then the same as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from looptool.config import LlmTeacherConfig
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.calls import Ask
from looptool.teachers.llm.client import Client

LATENCY = 0.05
LIMIT = 64
SERVER = Path(__file__).parents[1] / "tests" / "teachers" / "scripted_server.py"
PROMPT = "Weigh the two candidate calls against the conversation. " * 60


def ask(number: int) -> Ask:
    chat = (
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": f"case {number}"},
    )
    return Ask("judge", "m", chat, {"type": "object"}, temperature=0.0, max_tokens=64)


async def work(client: Client, numbers: range) -> None:
    """As stages do it: a fixed number of workers."""
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            await client.complete(ask(number))

    await asyncio.gather(*(worker() for _ in range(LIMIT)))


async def measure(client: Client, calls: int) -> dict[str, float]:
    await work(client, range(-500, 0))  # connections, imports, pages
    memory = peak_mb()
    start, processor = time.perf_counter(), time.process_time()
    await work(client, range(calls))
    seconds = time.perf_counter() - start
    return {
        "calls_per_second": round(calls / seconds, 1),
        "share_of_limit_over_latency": round(calls / seconds / (LIMIT / LATENCY), 3),
        "processor_ms_per_call": round((time.process_time() - processor) / calls * 1000, 3),
        "peak_memory_growth_mb": round(peak_mb() - memory, 1),
    }


async def bare(url: str, calls: int) -> float:
    """Calls a second of connections that do nothing but write the same request and read."""
    parts = urlsplit(url)
    body = json.dumps({"model": "m", "messages": ask(0).chat}).encode()
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    message = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    left = iter(range(calls))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in left:
            writer.write(message)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(LIMIT)))
    return calls / (time.perf_counter() - start)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=20_000)
    calls = options.parse_args().calls
    command = [sys.executable, str(SERVER), "--latency", str(LATENCY), "--limit", str(LIMIT)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run,
        tempfile.TemporaryDirectory() as folder,
        CallCache(Path(folder) / "calls.sqlite") as cache,
    ):
        assert run.stdin and run.stdout
        url = run.stdout.readline().strip()
        config = LlmTeacherConfig(base_url=url, model="m", concurrency=LIMIT)
        figures = asyncio.run(measure(Client(config, cache), calls))
        run.stdin.write("books\n")
        run.stdin.flush()
        books = json.loads(run.stdout.readline())
        capacity = asyncio.run(bare(url, calls))
        figures["capacity"] = round(capacity, 1)
        figures["share_of_capacity"] = round(figures["calls_per_second"] / capacity, 3)
        run.stdin.close()
    for name, value in {**figures, **books}.items():
        print(f"{name:<24}{value:>12,}")
    print(json.dumps({"teacher_throughput": figures | books}))


if __name__ == "__main__":
    main()

"""How long 100,000 samples take to be stored, merged and reloaded, and in how much memory.

Prints a table, then the same as JSON. The samples are made beforehand, in another process, so that
the peak is that of the work alone.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from looptool.config import MergeConfig
from looptool.merge import pick_merge
from looptool.records import (
    Judgement,
    Label,
    Match,
    Message,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.runs.store import read_records, write_records

NUM = 100_000
NUM_TOOLS = 1_000
MAX_SECONDS, MAX_MIB = 20, 1024


def tool(number: int) -> Tool:
    properties = {
        f"field_{n}": {"type": "string", "description": f"What stands in field {n} of {number}."}
        for n in range(6)
    }
    return Tool.model_validate(
        {
            "name": f"tool_{number}",
            "description": f"Does what tool {number} does, for a user who asks for it.",
            "parameters": {"type": "object", "properties": properties, "required": ["field_0"]},
        }
    )


def samples() -> Iterator[Sample]:
    """Samples of ordinary size: five tools, three messages, one call."""
    tools = [tool(number) for number in range(NUM_TOOLS)]
    for number in range(NUM):
        offered = tuple(tools[(number + step * 7) % NUM_TOOLS] for step in range(5))
        call = ToolCall(
            name=offered[0].name, arguments={"field_0": f"value {number}", "field_3": "x" * 20}
        )
        context = (
            Message(role="user", content=f"Please do number {number} for me, with value {number}"),
            Message(role="assistant", content="Gladly. Is there anything that I should mind?"),
            Message(role="user", content="No, go ahead, and mind that it is in the usual place."),
        )
        yield Sample.create(offered, context, Label(calls=(call,)), Scenario.MULTI_TURN)


def outcome(number: int, sample: Sample) -> tuple[ProbeResult, Judgement | None]:
    """Two in three mastered, the rest judged."""
    matched = number % 3 > 0
    probe = ProbeResult(
        sample_id=sample.id,
        checkpoint="round-1",
        output="",
        parsed=ParsedOutput(calls=sample.label.calls, begins_call=True),
        match=Match(matched=matched),
        perplexity=1 + number % 97 / 50,
        num_tokens=30,
    )
    if matched:
        return probe, None
    verdict = Verdict.LABEL_WRONG if number % 12 == 0 else Verdict.PRED_WRONG
    return probe, Judgement(sample_id=sample.id, verdict=verdict, judge="rules")


def work(folder: Path) -> dict[str, float]:
    """Reload, merge and store again, timed."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = round(time.perf_counter() - start, 2)

    with timed("reload"):
        dataset = read_records(folder / "dataset.jsonl", Sample)
    outcomes = [outcome(number, sample) for number, sample in enumerate(dataset)]
    probes = [probe for probe, _ in outcomes]
    judgements = [judgement for _, judgement in outcomes if judgement is not None]
    with timed("merge"):
        merge = pick_merge(MergeConfig(high_perplexity_share=1))
        merged = merge(dataset, probes, judgements, [], [], 1)
    with timed("store"):
        write_records(folder / "merged.jsonl", merged)
    assert len(merged) == NUM
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = round(sum(seconds.values()), 2)
    return {**seconds, "total": total, "peak MiB": round(peak)}


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_records(folder / "dataset.jsonl", samples())
        command = [sys.executable, __file__, "--work", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        size = (folder / "merged.jsonl").stat().st_size / 2**20
    figures = json.loads(done.stdout)
    for step in ("reload", "merge", "store", "total"):
        print(f"{step:<12}{figures[step]:>10.2f} s")
    print(f"{'peak':<12}{figures['peak MiB']:>10} MiB")
    print(f"{'on disk':<12}{size:>10.0f} MiB")
    kept = figures["total"] < MAX_SECONDS and figures["peak MiB"] < MAX_MIB
    print(f"under {MAX_SECONDS} s and {MAX_MIB} MiB: {'yes' if kept else 'no'}")
    print(json.dumps({"dataset_of_100000": figures | {"disk MiB": round(size)}}))


if __name__ == "__main__":
    main()

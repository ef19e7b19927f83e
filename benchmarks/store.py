"""100,000 samples stored, merged and reloaded: seconds and peak memory.

Promised: under 20 seconds and 1 GB. The peak is that of two copies, stored and reloaded, at once.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from pydantic import JsonValue

from looptool.config import MergeConfig
from looptool.merge import pick_merge
from looptool.records import (
    Judgement,
    Label,
    Match,
    Message,
    Mismatch,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.runs.store import read_records, write_records

SAMPLES, TOOLS = 100_000, 1_000
PROMISED_SECONDS, PROMISED_GB = 20.0, 1.0


def make_tool(number: int) -> Tool:
    properties: dict[str, JsonValue] = {
        f"field_{n}": {"type": "string", "description": "What it is."} for n in range(6)
    }
    return Tool(
        name=f"tool_{number}",
        description="Does one thing, and says in a sentence or two what that is and when to use.",
        parameters={"type": "object", "properties": properties, "required": ["field_0"]},
    )


def make_sample(tools: list[Tool], number: int) -> Sample:
    mine = tuple(tools[(number * 7 + n) % TOOLS] for n in range(4))
    text = f"Please use the first field for case {number}, and leave the others as they are."
    label = Label(calls=(ToolCall(name=mine[0].name, arguments={"field_0": f"case {number}"}),))
    return Sample.create(mine, (Message(role="user", content=text),), label, Scenario.SINGLE)


def probe(sample: Sample, right: bool, rank: int) -> ProbeResult:
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="round-1",
        output="",
        parsed=ParsedOutput(calls=sample.label.calls),
        match=Match(matched=right, reason=Mismatch.NONE if right else Mismatch.WRONG_VALUE),
        perplexity=1 + rank / SAMPLES,
        num_tokens=20,
    )


def main() -> None:
    tools = [make_tool(number) for number in range(TOOLS)]
    samples = [make_sample(tools, number) for number in range(SAMPLES)]
    probes = [probe(sample, bool(n % 3), n) for n, sample in enumerate(samples)]
    failed = [sample for n, sample in enumerate(samples) if not n % 3]
    judgements = [Judgement(sample_id=s.id, verdict=Verdict.PRED_WRONG) for s in failed]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.jsonl"
        started = time.perf_counter()
        write_records(path, samples)
        stored = time.perf_counter()
        merged = pick_merge(MergeConfig())(samples, probes, judgements, [], [], 1)
        joined = time.perf_counter()
        reloaded = read_records(path, Sample)
        done = time.perf_counter()
        assert reloaded == samples
        size = path.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    figures = {
        "store_seconds": stored - started,
        "merge_seconds": joined - stored,
        "reload_seconds": done - joined,
        "peak_gb": peak,
        "file_mb": size,
        "merged": len(merged),
    }
    for name, value in figures.items():
        print(f"{name:16} {value:,.2f}")
    print(json.dumps(figures))
    if done - started > PROMISED_SECONDS or peak > PROMISED_GB:
        sys.exit("over what was promised")


if __name__ == "__main__":
    main()

"""Greedy Capability Probing (GCP): what does the policy master, and how sure is it?

Source: LoopTool, arXiv 2511.09148. Each sample is decoded greedily and compared with its label by
ToolMatch. The perplexity of the output, exp(-1/n Σ log p(token)) over its n tokens, stop token
included, comes out of the same pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from looptool.config import PolicyConfig
from looptool.jsonvalue import content_hash
from looptool.records import (
    Match,
    Mismatch,
    ParsedOutput,
    ProbeResult,
    Record,
    Sample,
)
from looptool.toolmatch import match
from looptool.work import Work, tick

if TYPE_CHECKING:
    from looptool.models.engine import Completion, Engine

CHUNK = 128
"""Samples that are decoded, and owed again after a crash, together. A chunk's content does not
depend on what was done before, so rounding is the same in a run that was interrupted."""


class ProbeChunk(Record):
    """The results of one chunk."""

    results: tuple[ProbeResult, ...]


def probe(
    config: PolicyConfig,
    checkpoint: str,
    engine: Callable[[], Engine],
    samples: Sequence[Sample],
    work: Work,
    name: str,
) -> list[ProbeResult]:
    """Decode `samples` greedily with the engine of `checkpoint`; results in their order.

    `engine` is called only if something is owed. A prompt longer than the config allows fails
    unread.
    """

    async def decode(chunk: Sequence[Sample]) -> ProbeChunk:
        return ProbeChunk(results=tuple(_decode(config, checkpoint, engine(), chunk)))

    chunks = work.map(
        name,
        list(_chunks(samples)),
        decode,
        key=lambda chunk: content_hash([sample.id for sample in chunk]),
        result=ProbeChunk,
        size=len,
    )
    by_id = {result.sample_id: result for chunk in chunks for result in chunk.results}
    return [by_id[sample.id] for sample in samples]


def _chunks(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    """Samples of like length together, those with the same tools side by side."""

    def size(sample: Sample) -> tuple[int, str, int, str]:
        tools = sum(len(str(tool.parameters)) + len(tool.description) for tool in sample.tools)
        context = sum(len(message.content) for message in sample.context)
        return tools, sample.tools[0].name if sample.tools else "", context, sample.id

    ordered = sorted(samples, key=size)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _decode(
    config: PolicyConfig, checkpoint: str, engine: Engine, samples: Sequence[Sample]
) -> Iterator[ProbeResult]:
    from looptool.models.engine import Sampling

    prompts = [engine.format.prompt_ids(sample.tools, sample.context) for sample in samples]
    fits = [i for i, p in enumerate(prompts) if len(p) <= config.max_prompt_tokens]
    sampling = Sampling(max_new_tokens=config.max_new_tokens)
    done: dict[int, Completion] = {}
    for (completion,) in engine.generate([prompts[i] for i in fits], sampling):
        done[fits[completion.prompt]] = completion
        tick()
    for i, sample in enumerate(samples):
        if i in done:
            yield _result(checkpoint, engine, sample, done[i])
        else:
            detail = f"{len(prompts[i])} tokens, over policy.max_prompt_tokens"
            yield ProbeResult(
                sample_id=sample.id,
                checkpoint=checkpoint,
                output="",
                parsed=ParsedOutput(defect=Mismatch.PROMPT_TOO_LONG, detail=detail),
                match=Match(matched=False, reason=Mismatch.PROMPT_TOO_LONG, detail=detail),
                perplexity=1.0,
                num_tokens=0,
            )


def _result(checkpoint: str, engine: Engine, sample: Sample, completion: Completion) -> ProbeResult:
    output = engine.format.decode(completion.ids)
    parsed = engine.format.parse(output)
    return ProbeResult(
        sample_id=sample.id,
        checkpoint=checkpoint,
        output=output,
        parsed=parsed,
        match=match(parsed, sample.label, sample.tools),
        perplexity=math.exp(-sum(completion.logps) / len(completion.logps)),
        num_tokens=len(completion.ids),
    )

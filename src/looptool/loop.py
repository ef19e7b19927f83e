"""The loop: the model's own failures decide what the next round's data is.

    seed ─► train ─► probe ─► verify ─► expand ─► merge ─┐
              ▲                                          │
              └──────────── next round's dataset ◄───────┘

Source: LoopTool, arXiv 2511.09148. Every step is durable: run again, a finished one is only read.
"""

from __future__ import annotations

from pathlib import Path

from looptool.records import ProbeResult
from looptool.runs.run import Run
from looptool.steps import Steps


def loop(run: Run) -> Path:
    """Turn the loop as often as the run's config says; the path of its report."""
    do = Steps(run)
    seed = do.seed()
    policy = do.warm_start(seed)
    dataset = do.first_dataset(seed)
    probes: list[ProbeResult] = []
    for round in run.rounds():
        policy = do.train(round, policy, dataset, probes)  # GRPO, reward = ToolMatch
        do.measure(policy, seed)  # on tools that training never saw
        probes = do.probe(round, policy, dataset)  # GCP: mastered? how perplexed?
        judgements = do.verify(round, dataset, probes)  # JGLV: who is wrong, label or model?
        expansions = do.expand(round, dataset, probes, judgements)  # EDDE: more of what it fails
        dataset = do.merge(round, seed, dataset, probes, judgements, expansions)
    return do.report()

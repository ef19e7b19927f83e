"""`looptool eval` on the command line. Light to import: the work is in `suites`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Model = Annotated[
    str, typer.Argument(help="A run, a model folder, a Hugging Face id, or smollm2-135m.")
]
Cache = Annotated[
    Optional[Path],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option(help="Where what can be made again is kept; the user's cache unless given."),
]
Checkpoint = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Of a run: base, warm-start, round-2 …; the last unless given."),
]
Format = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Chat format, hermes or native; a run's own unless given."),
]

Guided = Annotated[
    bool, typer.Option("--guided", help="Guided decoding: hold calls to their tools' schemas.")
]


def evaluate(
    model: Model,
    suite: Annotated[str, typer.Option(help="heldout, bfcl or acebench.")] = "bfcl",
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A second model, for the paired difference; of a run, its last."),
    ] = None,
    categories: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Comma-separated categories or groups: simple,live,multi_turn,all."),
    ] = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Only the first N questions of each category: no official figure."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where results go; eval/SUITE, inside a run if it is one."),
    ] = None,
    checkpoint: Checkpoint = None,
    format: Format = None,
    base_url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="An OpenAI-compatible server (up to /v1) that has MODEL."),
    ] = None,
    max_new_tokens: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Where an answer is cut: 512, or for heldout where the run cuts it.",
            min=1,
            show_default=False,
        ),
    ] = None,
    guided: Guided = False,
    acebench: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="A local clone of ACEBench."),
    ] = None,
    user_base_url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="An OpenAI-compatible server that plays ACEBench's user."),
    ] = None,
    user_model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Its name there; the key, if any, is OPENAI_API_KEY."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Score a model by an official checker: per category, with intervals and the call rate."""
    from rich.console import Console

    from looptool.evaluate.suites import Request, run_eval
    from looptool.evaluate.table import suite_table
    from looptool.runs.progress import Shown

    request = Request(
        model=model,
        suite=suite,
        against=against,
        categories=categories,
        limit=limit,
        out=out,
        checkpoint=checkpoint,
        format=format,
        base_url=base_url,
        acebench=acebench,
        user_base_url=user_base_url,
        user_model=user_model,
        cache=cache,
        max_new_tokens=max_new_tokens,
        guided=guided,
    )
    results, averages, page = run_eval(request, Shown())
    console = Console(highlight=False)
    console.print(suite_table(results, averages))
    if limit:
        console.print(f"a subset, the first {limit} of each category: no official figure")
    console.print(f"page: {page}", soft_wrap=True, markup=False)

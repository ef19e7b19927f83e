"""`looptool eval`: one or two contenders on one suite, and the table that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from looptool.errors import UserError
from looptool.evaluate.answers import Player
from looptool.evaluate.contender import Contender, find_contender
from looptool.evaluate.environment import cache_folder, checker_python
from looptool.evaluate.kept import in_common, keep, own_names
from looptool.evaluate.players import MAX_NEW_TOKENS, EnginePlayer, ServerPlayer
from looptool.evaluate.results import Averages, SuiteResult
from looptool.runs.lock import lock
from looptool.runs.store import write_atomic
from looptool.work import Progress

SUITES = ("heldout", "bfcl", "acebench")


@dataclass(frozen=True)
class Request:
    """What `looptool eval` was asked for."""

    model: str
    suite: str
    against: str | None = None
    categories: str | None = None
    limit: int | None = None
    out: Path | None = None
    checkpoint: str | None = None
    format: str | None = None
    base_url: str | None = None
    acebench: Path | None = None
    user_base_url: str | None = None
    user_model: str | None = None
    cache: Path | None = None
    max_new_tokens: int | None = None
    guided: bool = False


def run_eval(request: Request, progress: Progress) -> tuple[list[SuiteResult], Averages, Path]:
    """Evaluate, write the files, and return the results with what averages they allow.

    Raises UserError on whatever the request gets wrong, before anything is generated.
    """
    if request.suite not in SUITES:
        raise UserError(f"--suite {request.suite}: there is {', '.join(SUITES)}")
    if request.limit is not None and request.limit < 1:
        raise UserError("--limit must be at least 1")
    if request.base_url:
        _refuse(request, ("checkpoint", "format", "guided"), "--base-url, whose server has them")
    cache = cache_folder(request.cache)
    out = _folder(request)
    if request.suite == "heldout":
        from looptool.evaluate.held_out import evaluate_held_out

        _refuse(request, ("base_url", "categories"), "--suite heldout, which needs a run")
        _refuse(request, ("guided",), "--suite heldout, which asks as the probe does")
        found = _on_equal_terms(request, cache)
        with _locked(out):
            results = evaluate_held_out(found, request.limit, out, progress)
            order = [category.name for category in results[0].categories]
            return _finish(results, (), order, request, out)
    if request.suite == "bfcl":
        from looptool.evaluate import bfcl

        categories = pick(request.categories or bfcl.DEFAULT, bfcl.CATEGORIES, bfcl.GROUPS)
        players = _players(request, cache)
        with _locked(out):
            _name(players, out)
            python = checker_python(cache, progress)
            results = [
                bfcl.evaluate(player, categories, request.limit, python, out, progress)
                for player in players
            ]
            return _finish(results, bfcl.AVERAGES, bfcl.CATEGORIES, request, out)
    from looptool.evaluate import acebench

    clone = acebench.check_clone(request.acebench)
    user = _user(request)
    asked = request.categories or acebench.DEFAULT
    chosen = pick(asked, acebench.CATEGORIES, acebench.GROUPS)
    categories = acebench.askable(asked, chosen, user is not None, progress)
    players = _players(request, cache)
    with _locked(out):
        _name(players, out)
        python = checker_python(cache, progress)
        results = [
            acebench.evaluate(player, categories, request.limit, clone, python, out, progress, user)
            for player in players
        ]
        return _finish(results, acebench.AVERAGES, acebench.CATEGORIES, request, out)


def _refuse(request: Request, options: Sequence[str], beside: str) -> None:
    """UserError if one of the options is given that would do nothing `beside` another."""
    for option in options:
        if getattr(request, option) not in (None, False):
            raise UserError(f"--{option.replace('_', '-')} is not for {beside}: leave it out")


def _on_equal_terms(request: Request, cache: Path) -> list[Contender]:
    """A run, and what it is held against: a model in the run's format, both with its limits."""
    found = [find_contender(request.model, cache, request.checkpoint, request.format)]
    if request.against:
        found.append(find_contender(request.against, cache, None, request.format))
    terms = found[0].policy
    limits: dict[str, object] = {
        "max_prompt_tokens": terms.max_prompt_tokens,
        "max_new_tokens": request.max_new_tokens or terms.max_new_tokens,
    }
    spoken = {"format": request.format or terms.format}
    return [
        replace(
            one, policy=one.policy.model_copy(update=limits if one.home else {**limits, **spoken})
        )
        for one in found
    ]


def pick(
    asked: str, categories: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """The categories that a comma-separated list of categories and groups names, in suite order.

    Raises UserError naming the one that there is not.
    """
    chosen: set[str] = set()
    for name in filter(None, (part.strip() for part in asked.split(","))):
        if name not in groups and name not in categories:
            known = ", ".join([*groups, *categories])
            raise UserError(f"--categories {name}: there is {known}")
        chosen.update(groups.get(name, (name,)))
    if not chosen:
        raise UserError("--categories names none")
    return tuple(name for name in categories if name in chosen)


def _players(request: Request, cache: Path) -> list[Player]:
    names = [request.model] + ([request.against] if request.against else [])
    tokens = request.max_new_tokens or MAX_NEW_TOKENS
    players: list[Player] = []
    for at, name in enumerate(names):
        if request.base_url:
            players.append(ServerPlayer(request.base_url, name, tokens))
        else:
            checkpoint = request.checkpoint if at == 0 else None
            contender = find_contender(name, cache, checkpoint, request.format)
            players.append(engine_player(contender, tokens, request.guided))
    if len({player.identity for player in players}) < len(players):
        raise UserError(f"--against {request.against}: it is the same model; give another")
    return players


def _name(players: Sequence[Player], out: Path) -> None:
    """Give each a name under which no other contender has files in `out`."""
    names = own_names([(player.name, player.identity) for player in players], out)
    for player, name in zip(players, names, strict=True):
        player.name = name


def _user(request: Request) -> ServerPlayer | None:
    """The model that plays the user, if one is given."""
    if not request.user_base_url and not request.user_model:
        return None
    if not request.user_base_url or not request.user_model:
        raise UserError("--user-base-url and --user-model go together: give both")
    from looptool.evaluate.acebench_agent import USER_TOKENS

    return ServerPlayer(request.user_base_url, request.user_model, USER_TOKENS)


def engine_player(contender: Contender, max_new_tokens: int, guided: bool = False) -> EnginePlayer:
    """The contender's own engine; it is loaded at the first question."""
    from looptool.models.engine import load_engine
    from looptool.models.load import model_hash

    policy = contender.policy
    identity = f"{model_hash(contender.checkpoint)} {policy.format} {policy.dtype}"
    return EnginePlayer(
        contender.name,
        identity,
        lambda: load_engine(contender.policy, contender.checkpoint),
        max_new_tokens,
        guided,
    )


def _folder(request: Request) -> Path:
    """Where the files go: a run keeps its own; a subset's files are apart from official ones."""
    out = request.out
    if out is None:
        run = Path(request.model)
        inside = (run / "provenance.json").exists() and not request.base_url
        out = (run / "eval" if inside else Path("eval")) / request.suite
    return out / f"first-{request.limit}" if request.limit else out


def _locked(out: Path) -> IO[str]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return lock(out / ".lock")
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}; choose another with --out") from None


def _finish(
    results: list[SuiteResult],
    averages: Averages,
    order: Sequence[str],
    request: Request,
    out: Path,
) -> tuple[list[SuiteResult], Averages, Path]:
    """Write a page for each contender and, if there are two, one that compares them: the last."""
    from looptool.evaluate.table import suite_markdown

    notes = ["Accuracies in percent with 95 % bootstrap intervals; differences are paired."]
    if request.limit:
        notes.append(
            f"A subset: the first {request.limit} questions of each category. No official figure."
        )
    if request.guided:
        notes.append("Guided decoding: calls were held to their tools' schemas.")
    kept = [keep(result, order, out) for result in results]
    pages = [[result] for result in kept]
    if len(kept) > 1:
        pages.append(in_common(kept))
    for shown in pages:
        name = "-against-".join(result.contender for result in shown)
        page = out / f"{request.suite}-{name}.md"
        write_atomic(page, suite_markdown(shown, averages, notes).encode())
    return results, averages, page

"""What a user may name to be evaluated or served: a run, a model folder or id, the embedded one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from looptool.config import PolicyConfig
from looptool.errors import UserError
from looptool.records import Checkpoint
from looptool.runs.paths import Paths


@dataclass(frozen=True)
class Contender:
    """A checkpoint and how it is to be run. `home` is its run directory, if it has one."""

    name: str
    policy: PolicyConfig
    checkpoint: Checkpoint
    home: Path | None = None


def find_contender(
    model: str, cache: Path, checkpoint: str | None = None, format: str | None = None
) -> Contender:
    """The contender that `model` names.

    For a run it is the last checkpoint, or the one called `checkpoint` ("base", "warm-start",
    "round-2"), in the format it was trained with. For a model the format is `hermes` unless given.

    Raises UserError: no such run, model, checkpoint or format.
    """
    if format not in (None, "hermes", "native"):
        raise UserError(f'--format {format}: there is "hermes" and "native"')
    if _is_run(Path(model)):
        return _of_run(Path(model), checkpoint, format)
    if checkpoint is not None:
        raise UserError(f"--checkpoint is for runs, and {model} is no run")
    from looptool.models.load import base_checkpoint

    folder = Path(model)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise UserError(f"{model}: neither a run nor a model (no config.json in it)")
    if not folder.exists() and (runs := _runs_in(folder.parent)):
        raise UserError(f"{model}: no such run; {folder.parent} has {', '.join(runs)}")
    policy = PolicyConfig.model_validate({"model": model, "format": format or "hermes"})
    found = base_checkpoint(policy, cache / "models")
    dtype = _measured_precision(cache)
    return Contender(_label(model), policy.model_copy(update={"dtype": dtype}), found)


def _measured_precision(cache: Path) -> str:
    """What is fastest here, measured once: rounding is the same when an evaluation goes on."""
    import torch

    from looptool.models.precision import Precision, choose_precision
    from looptool.runs.store import read_records, write_records

    path = cache / ("precision-gpu.jsonl" if torch.cuda.is_available() else "precision-cpu.jsonl")
    if not path.exists():
        write_records(path, [choose_precision("auto")])
    return read_records(path, Precision)[0].dtype


def _is_run(folder: Path) -> bool:
    """A model folder has a config.json too, but not one with a policy in it."""
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(raw, dict) and "policy" in raw


def _runs_in(folder: Path) -> list[str]:
    """The runs in a folder, by name: who names another one there means no model of a hub."""
    return sorted(each.name for each in folder.glob("*") if _is_run(each))


def _of_run(root: Path, wanted: str | None, format: str | None) -> Contender:
    from looptool.models.precision import Precision, choose_precision
    from looptool.runs.run import stored_config
    from looptool.runs.store import read_records

    paths = Paths(root)
    config = stored_config(paths)
    names = [f"round-{r}/train/policy" for r in range(config.rounds, 0, -1)]
    made: dict[str, Checkpoint] = {}
    for name in (*names, "warm-start/policy", "base"):
        if paths.value(name).exists():
            kept = read_records(paths.value(name), Checkpoint)[0]
            # A round whose own policy was not taken has that of the round before.
            label = name.removesuffix("/train/policy") if name in names else kept.name
            located = {"name": label, "path": paths.located(kept.path)}
            made.setdefault(label, kept.model_copy(update=located))
    if not made:
        raise UserError(f"{root} has no checkpoint yet; go on with `looptool run {root}`")
    if wanted is not None and wanted not in made:
        raise UserError(f"{root} has no checkpoint {wanted}; it has {', '.join(made)}")
    chosen = made[wanted] if wanted else next(iter(made.values()))
    if not Path(chosen.path).exists() and Path(chosen.path).is_absolute():
        raise UserError(f"{chosen.path} is gone: checkpoint {chosen.name} of {root} cannot be used")
    if paths.value("precision").exists():
        dtype = read_records(paths.value("precision"), Precision)[0].dtype
    else:
        dtype = choose_precision(config.policy.dtype).dtype
    update = {"dtype": dtype, "format": format or config.policy.format}
    policy = config.policy.model_copy(update=update)
    return Contender(f"{root.resolve().name}-{chosen.name}", policy, chosen, root)


def _label(model: str) -> str:
    path = Path(model)
    return path.resolve().name if path.is_dir() else model

"""How far a training has come, on disk: one folder, replaced as a whole, the newest only."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_STATE = "state.json"
_TENSORS = "tensors.safetensors"


def save_progress(folder: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint beside `folder`, then put it in its place."""
    from safetensors.torch import save_file

    partial = folder.with_name(folder.name + ".new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / _TENSORS)
    (partial / _STATE).write_text(json.dumps(state), encoding="utf-8")
    sync_files(partial)
    replace_folder(partial, folder)


def load_progress(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The newest checkpoint, or None. Between two renames the one beside `folder` is it."""
    from safetensors.torch import load_file

    settle(folder)
    if not (folder / _STATE).is_file():
        return None
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    return load_file(folder / _TENSORS), state


def replace_folder(new: Path, folder: Path) -> None:
    """Put `new` where `folder` is; a crash in between is mended by `settle`."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def settle(folder: Path) -> None:
    """Bring back the folder that a crash left between two names."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    for rest in (old, folder.with_name(folder.name + ".new")):
        shutil.rmtree(rest, ignore_errors=True)


def sync_files(folder: Path) -> None:
    """Have the files of a folder on disk before it takes another's place."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())

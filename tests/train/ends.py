"""How a training ends: killed, and with which weights."""

from pathlib import Path

from safetensors.torch import load_file

from looptool.records import Checkpoint
from looptool.work import Silent


class Killed(Silent):
    """Dies after some steps, as a killed process does: nothing is cleaned up."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, num: int = 1, note: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def same_weights(a: Checkpoint, b: Checkpoint) -> bool:
    left, right = (load_file(Path(c.path) / "model.safetensors") for c in (a, b))
    return left.keys() == right.keys() and all(left[k].equal(right[k]) for k in left)

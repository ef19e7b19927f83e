"""One process a run."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from looptool.errors import UserError


def lock(path: Path) -> IO[str]:
    """Hold `path` until the returned file is closed or the process ends, however it ends.

    Raises UserError if another process holds it.
    """
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise UserError(
            f"{path.parent} is in use by process {owner}; wait for it, or end it and run again"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file

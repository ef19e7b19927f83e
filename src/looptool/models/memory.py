"""What glibc's allocator does with large buffers that are freed: it keeps them for the stage.

By default every buffer of some megabytes is mapped anew and given back when it is freed, so that
each forward pass pays a page fault for every 4 KiB of its activations once more.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

# From malloc.h. The environment's MALLOC_…_ variables set the same, and are left alone.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 64 * 2**20
_NEVER = 2**31 - 1
_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_")


def keep_freed_memory() -> bool:
    """Give back what is free now, then reuse what is freed from here on; True where that works.

    Called where a stage's model is loaded: what the stage before needed does not stay with the
    process. Does nothing, and returns False, where there is no glibc or the user has set malloc's
    own variables.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _ENVIRONMENT):
        return False
    try:
        libc: Any = ctypes.CDLL(None)
        libc.malloc_trim(0)
        options = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _TOP_PAD))
        return all(libc.mallopt(option, value) for option, value in options)
    except (OSError, AttributeError):
        return False

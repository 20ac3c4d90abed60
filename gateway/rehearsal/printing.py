"""Where PJSIP prints: it knows no other place than file descriptor 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def printing_to(descriptor: int) -> Iterator[None]:
    """Within the block, what is written to stdout goes to this file descriptor."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)

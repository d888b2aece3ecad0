"""Python's garbage collector, out of the way of what makes very many values that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector off meanwhile: it costs more than the making, and finds nothing to free.

    Of threads that do so at once, the one that switched it off switches it on again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

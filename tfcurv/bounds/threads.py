"""Many independent factorisations at a time."""

from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import os
from typing import Any


def in_threads(fn: Callable[..., Any], *columns: Iterable[Any]) -> list[Any]:
    """Returns what a function gives for each row, in the rows' order.

    Factorisations take the time, and let other threads run.

    Args:
        fn: The function.
        *columns: Its arguments, row by row.
    """
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(fn, *columns))

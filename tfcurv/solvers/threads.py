"""Many independent factorisations at a time, each on one core."""

from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import functools
import os
from typing import Any

import threadpoolctl


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    """Returns those that are loaded; looking for them takes 20 ms."""
    return threadpoolctl.ThreadpoolController()


def _one_thread_each():
    """Limits BLAS to the thread that calls it, at once; a context undoes it."""
    return _libraries().limit(limits=1, user_api="blas")


def in_threads(fn: Callable[..., Any], *columns: Iterable[Any]) -> list[Any]:
    """Returns what a function gives for each row, in the rows' order.

    Factorisations take the time, and let other threads run. Each of these
    threads would else be joined by as many of BLAS' own, and on busy cores
    they wait for each other most of the time.

    Args:
        fn: The function.
        *columns: Its arguments, row by row.
    """
    # Some builds of BLAS have a limit for the process, others for a thread.
    with (
        _one_thread_each(),
        futures.ThreadPoolExecutor(
            os.cpu_count(), initializer=_one_thread_each
        ) as pool,
    ):
        return list(pool.map(fn, *columns))

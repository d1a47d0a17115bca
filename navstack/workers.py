"""Worker processes for flights: results in the order of the jobs, and one process that answers Ctrl-C."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.pool import Pool
from types import TracebackType
from typing import Self, TypeVar

import cv2

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class Workers:
    """Processes that fly. Results come in the order of the jobs, whoever flew them.

    With one worker everything is flown in this process.
    """

    def __init__(self, workers: int) -> None:
        self._pool: Pool | None = None
        if workers > 1:
            self._pool = multiprocessing.get_context("spawn").Pool(workers, _begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()

    def map(self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]:
        """The result of every job, in order. A worker's InputError is raised here."""
        return map(function, jobs) if self._pool is None else self._pool.imap(function, jobs)


def _begin() -> None:
    """Leave Ctrl-C, which reaches the whole group of processes, to the parent, and the other cores to others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)

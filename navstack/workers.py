"""Worker processes for flights: results in the order of the jobs, and one process that answers Ctrl-C."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from navstack.errors import InputError
from navstack.opencv import one_thread

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
PATIENCE = 5.0  # s that a cluster has to answer


class Pool(Protocol):
    """What `multiprocessing` and `ray.util.multiprocessing` both offer."""

    def imap(self, func: Callable[[JobT], ResultT], iterable: Iterable[JobT], /) -> Iterator[ResultT]:
        """The results in the order of the jobs."""
        ...

    def terminate(self) -> None:
        """End its processes now."""
        ...

    def join(self) -> None:
        """Wait until they have ended."""
        ...


class Workers:
    """Processes that fly. Results come in the order of the jobs, whoever flew them.

    With one worker and no cluster everything is flown in this process. On a cluster a job whose machine fails
    is flown again on another: what a job writes must be the same each time and appear at once, in a folder
    that all machines share.

    Args:
        workers: number of processes.
        cluster: address of a running Ray cluster as host:port, or None for processes on this machine.

    Raises:
        InputError: for a cluster that is not there, too small, or without the package that reaches it.
    """

    def __init__(self, workers: int, cluster: str | None = None) -> None:
        self._pool: Pool | None = None
        if cluster is not None:
            self._pool = _cluster_pool(workers, cluster)
        elif workers > 1:
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


def _cluster_pool(workers: int, address: str) -> Pool:
    if importlib.util.find_spec("ray") is None:
        raise InputError("a cluster needs the package 'ray'; pip install 'navstack[cluster]'")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster answers at '{address}' ({error}); 'ray start --head' starts one and names its"
            " address, host:port"
        ) from error
    if host == "127.0.0.1":  # Ray would look for this machine's other address, where nothing listens
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    from ray.util.multiprocessing import Pool as RayPool

    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False)
    cores = int(ray.cluster_resources().get("CPU", 0))
    if workers > cores:
        raise InputError(f"the cluster has {cores} cores; it cannot run {workers} workers")
    # A worker whose machine fails is started again elsewhere, with the job that it had begun.
    options: dict[str, Any] = {"scheduling_strategy": "SPREAD", "max_restarts": -1, "max_task_retries": -1}
    pool: Pool = RayPool(workers, initializer=_begin, ray_remote_args=options)
    return pool


def _begin() -> None:
    """Leave Ctrl-C, which reaches the whole group of processes, to the parent, and other cores to others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()

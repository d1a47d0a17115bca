"""Batches cut into chunks of LANES sequences, and the work on them shared among threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from navstack.errors import InputError
from navstack.policies.cells.compiled.vectors import LANES


def check_single(*tensors: Tensor) -> None:
    """Raise InputError but for float32 on a CPU."""
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise InputError(
                f"the numba back end computes in float32 on a CPU, not in {tensor.dtype} on {tensor.device}:"
                " use the torch back end"
            )


def chunked(values: Tensor, filling: float = 0.0) -> Tensor:
    """(B, T, F) to (chunks, T, F, LANES), the last chunk filled up."""
    batch, steps, features = values.shape
    filled = values.detach()
    if batch % LANES:
        filled = torch.nn.functional.pad(filled, (0, 0, 0, 0, 0, -batch % LANES), value=filling)
    return filled.view(-1, LANES, steps, features).permute(0, 2, 3, 1).contiguous()


def unchunked(values: Tensor, batch: int) -> Tensor:
    """(chunks, T, F, LANES) to (B, T, F)."""
    return values.permute(0, 3, 1, 2).flatten(0, 1)[:batch]


@contextmanager
def alone() -> Iterator[int]:
    """Give the number of torch's threads to our own, and let torch compute with one.

    Its other threads would wait for more work in a busy loop, on the cores that ours need.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def share(kernel: Callable[..., None], count: int, threads: int, *arguments: Any) -> None:
    """Run a kernel over `count` chunks or rows, shared among threads."""
    arrays = [value.numpy() if isinstance(value, Tensor) else value for value in arguments]
    threads = min(threads, count)
    if threads == 1:
        kernel(0, count, *arrays)
        return
    cuts = [count * part // threads for part in range(threads + 1)]
    parts = [_pool(threads).submit(kernel, begin, end, *arrays) for begin, end in pairwise(cuts[1:])]
    kernel(0, cuts[1], *arrays)
    for part in parts:
        part.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads beside the caller's: kernels let go of Python's lock."""
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="navstack-cells")

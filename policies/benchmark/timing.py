"""Timing things in turn in one run, with as many threads as the promise says."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

THREADS = 2
WARM_UP = 3  # runs of each that are not counted

Step = Callable[[], object]


@contextmanager
def threads(count: int = THREADS) -> Iterator[None]:
    """Compute with this many threads, then as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def median_seconds(
    steps: dict[str, Step], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median duration of each: every step in turn, so that a machine that slows down slows all of them.

    `clock` gives seconds. For steps of one thread, `time.process_time` leaves out what other programs take.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + WARM_UP):
        for name, step in steps.items():
            started = clock()
            step()
            if repeat >= WARM_UP:
                times[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def learning(core: Any, x: Tensor, sequence: Callable[..., Any] | None = None) -> Step:
    """Forward and backward of one of our cores over features (B, T, I), at dt = 1.

    `sequence` stands for the core's own, where it is given.
    """
    dt, run = torch.ones(x.shape[:2], device=x.device), sequence or core.sequence

    def step() -> None:
        core.zero_grad()
        run(x, core.initial_state(len(x)), dt)[0].sum().backward()

    return step


def learning_of_theirs(module: torch.nn.Module, x: Tensor) -> Step:
    """Forward and backward of a module of torch or ncps over features (B, T, I)."""

    def step() -> None:
        module.zero_grad()
        module(x)[0].sum().backward()

    return step

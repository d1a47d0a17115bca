"""`navstack bench networks`: training the wired CfC against ncps and torch's LSTM, in turn in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from navstack.benchmarks import timing_row
from navstack.errors import InputError
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cores import cfc_preset
from navstack.policies.wiring import auto_ncp

BATCH, LENGTH, INPUTS, UNITS, THREADS, REPEATS = 16, 64, 64, 64, 2, 30
NCPS_BUDGET = 1.0 / 8.0  # of ncps's time, at most
LSTM_BUDGET = 3.0  # times the LSTM's time, at most

Step = Callable[[], None]


def bench_networks() -> list[dict[str, Any]]:
    """Forward and backward over 16 sequences of 64 frames of 64 features, medians of 30, two threads.

    The reference is AutoNCP(64, 4) in connectivity `ncps`, wired alike in both; the LSTM has as many
    units as the CfC has neurons. The strict preset that ships is timed beside them. Raises InputError where
    ncps is not installed.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return _rows()
    finally:
        torch.set_num_threads(before)


def _rows() -> list[dict[str, Any]]:
    torch.manual_seed(0)
    ours = WiredCfC(INPUTS, auto_ncp(INPUTS, UNITS, COMMAND_SIZE), "default", "ncps")
    strict = cfc_preset(INPUTS, "strict")
    seconds = _median_seconds(
        {
            "ours": _our_step(ours),
            "strict": _our_step(strict),
            "ncps": _ncps_step(),
            "lstm": _lstm_step(UNITS),
            "lstm of the strict preset's size": _lstm_step(strict.neurons),
        }
    )
    what = f"CfC forward and backward, {BATCH} x {LENGTH}"
    wired, thick = f"{what}, wiring of ncps, {UNITS} neurons", f"{what}, strict, {strict.neurons} neurons"
    return [
        timing_row(wired, seconds["ours"], "ncps.torch.CfC, same wiring", seconds["ncps"], NCPS_BUDGET),
        timing_row(wired, seconds["ours"], f"torch.nn.LSTM({UNITS})", seconds["lstm"], LSTM_BUDGET),
        timing_row(
            thick,
            seconds["strict"],
            f"torch.nn.LSTM({strict.neurons})",
            seconds["lstm of the strict preset's size"],
            LSTM_BUDGET,
        ),
    ]


def _median_seconds(steps: dict[str, Step]) -> dict[str, float]:
    """Every step in turn, so that a machine that slows down slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(REPEATS + 3):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if repeat >= 3:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _our_step(cell: WiredCfC) -> Step:
    x, dt = torch.randn(BATCH, LENGTH, INPUTS), torch.ones(BATCH, LENGTH)

    def step() -> None:
        cell.zero_grad()
        cell.sequence(x, cell.initial_state(BATCH), dt)[0].sum().backward()

    return step


def _ncps_step() -> Step:
    try:
        from ncps.torch import CfC
        from ncps.wirings import AutoNCP
    except ModuleNotFoundError as error:
        raise InputError(
            "the comparison needs ncps, which is not installed; pip install --no-deps ncps==1.0.1"
        ) from error
    module, x = CfC(INPUTS, AutoNCP(UNITS, COMMAND_SIZE)), torch.randn(BATCH, LENGTH, INPUTS)

    def step() -> None:
        module.zero_grad()
        module(x)[0].sum().backward()

    return step


def _lstm_step(units: int) -> Step:
    module, x = torch.nn.LSTM(INPUTS, units, batch_first=True), torch.randn(BATCH, LENGTH, INPUTS)

    def step() -> None:
        module.zero_grad()
        module(x)[0].sum().backward()

    return step

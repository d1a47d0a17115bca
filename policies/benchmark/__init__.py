"""`navstack bench networks`: training the liquid cells against ncps and torch's LSTM, in turn in one run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from navstack.benchmarks import Row, figure_row, skipped_row, timing_row
from navstack.errors import InputError
from navstack.policies.benchmark.timing import Step, learning, learning_of_theirs, median_seconds, threads
from navstack.policies.cells.backends import use_backend
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.cores import CORES, cfc_preset
from navstack.policies.wiring import Wiring, auto_ncp

BATCH, LENGTH, INPUTS, UNITS, REPEATS, SLOW_REPEATS = 16, 64, 64, 64, 30, 8
INDUCTOR_LENGTH = 8
BATCHES, LENGTHS, TABLE_REPEATS = (1, 64, 256), (16, 64, 256, 1024), 5
GPU_BATCH, GPU_LENGTH = 256, 256
NCPS_BUDGET, LSTM_BUDGET = 1.0 / 8.0, 3.0  # plain torch: of ncps's time, of the LSTM's, at most
FAST_NCPS_BUDGET, FAST_LSTM_BUDGET = 1.0 / 20.0, 1.5  # the best back end
LTC_BUDGET = 1.0 / 10.0

_COMPILE = """
import time, torch
from navstack.policies.benchmark import wired_cfc
from navstack.policies.benchmark.timing import learning
step = learning(wired_cfc("numba"), torch.randn(16, 64, 64))
start = time.perf_counter(); step(); print(time.perf_counter() - start)
"""


def bench_networks() -> list[Row]:
    """Forward and backward over 16 sequences of 64 frames of 64 features, medians of 30, two threads.

    The reference is AutoNCP(64, 4) in connectivity `ncps`, wired alike in both; the LSTM has as many units as
    the CfC has neurons. Raises InputError where ncps is not installed.
    """
    with threads():
        torch.manual_seed(0)
        return [*_cfc_rows(), *_inductor_rows(), *_sparsity_rows(), *_ltc_rows(), *_gpu_rows()]


def bench_networks_full() -> list[Row]:
    """The CfC's back ends against the LSTM for batches of 1 to 256 and lengths of 16 to 1,024; minutes.

    And every network's forward and backward, 16 x 64, against the LSTM's of the same size.
    """
    with threads():
        torch.manual_seed(0)
        rows = [row for batch in BATCHES for length in LENGTHS for row in _growth_rows(batch, length)]
        return [*rows, *_network_rows()]


def wired_cfc(backend: str = "torch") -> WiredCfC:
    """The CfC of the reference, AutoNCP(64, 4) on 64 features as ncps wires it."""
    cell = WiredCfC(INPUTS, auto_ncp(INPUTS, UNITS, COMMAND_SIZE), "default", "ncps")
    use_backend(cell, backend)
    return cell


def _backends() -> tuple[str, ...]:
    return ("torch", "numba") if find_spec("numba") is not None else ("torch",)


def _without_numba(what: str) -> Row:
    return skipped_row(what, "not run: pip install 'navstack[fast]' brings numba")


def _ncps() -> Any:
    try:
        import ncps.torch
        import ncps.wirings
    except ModuleNotFoundError as error:
        raise InputError(
            "the comparison needs ncps, which is not installed; pip install --no-deps ncps==1.0.1"
        ) from error
    return ncps


def _cfc_rows() -> list[Row]:
    ncps, x = _ncps(), torch.randn(BATCH, LENGTH, INPUTS)
    steps: dict[str, Step] = {name: learning(wired_cfc(name), x) for name in _backends()}
    steps["ncps"] = learning_of_theirs(ncps.torch.CfC(INPUTS, ncps.wirings.AutoNCP(UNITS, COMMAND_SIZE)), x)
    steps["lstm"] = learning_of_theirs(nn.LSTM(INPUTS, UNITS, batch_first=True), x)
    seconds = median_seconds(steps, REPEATS)
    rows = []
    for name, against_ncps, against_lstm in (
        ("torch", NCPS_BUDGET, LSTM_BUDGET),
        ("numba", FAST_NCPS_BUDGET, FAST_LSTM_BUDGET),
    ):
        what = f"CfC, {name}: forward and backward, {BATCH} x {LENGTH}, wiring of ncps, {UNITS} neurons"
        if name not in seconds:
            rows.append(_without_numba(what))
            continue
        rows.append(timing_row(what, seconds[name], "ncps.torch.CfC", seconds["ncps"], against_ncps))
        rows.append(timing_row(what, seconds[name], f"torch.nn.LSTM({UNITS})", seconds["lstm"], against_lstm))
    return rows + (_compile_rows() if "numba" in seconds else [])


def _compile_rows() -> list[Row]:
    """The first call in a fresh process, with nothing in the cache and then from it."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what in ("compiling", "loading what was compiled"):
            found = subprocess.run(
                [sys.executable, "-c", _COMPILE],
                env={**os.environ, "NUMBA_CACHE_DIR": folder},
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append(figure_row(f"CfC, numba: first call, {what}", float(found.stdout), "s"))
    return rows


def _inductor_rows() -> list[Row]:
    """What `torch.compile` makes of the training path, and how long that takes.

    Few frames: the graph holds every wave of the sequence, so compiling takes longer in proportion.
    """
    what = f"CfC, torch.compile: forward and backward, {BATCH} x {INDUCTOR_LENGTH}, wiring of ncps"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return [
            skipped_row(what, "not run: torch.compile needs a C++ compiler, and no g++ or clang++ is here")
        ]
    from torch._inductor.utils import fresh_inductor_cache  # seconds to import

    x, cell = torch.randn(BATCH, INDUCTOR_LENGTH, INPUTS), wired_cfc()
    with fresh_inductor_cache():
        compiled = torch.compile(cell.sequence)
        steps: dict[str, Step] = {"compiled": learning(cell, x, compiled), "torch": learning(wired_cfc(), x)}
        started = time.perf_counter()
        steps["compiled"]()
        first = time.perf_counter() - started
        seconds = median_seconds(steps, REPEATS)
    return [
        timing_row(what, seconds["compiled"], "the same without it", seconds["torch"], None),
        figure_row("CfC, torch.compile: first call, compiling", first, "s"),
    ]


def every_synapse(wiring: Wiring) -> Wiring:
    """The same neurons with all synapses that the layers allow."""
    internal = np.zeros_like(wiring.internal)
    sensory, before = np.zeros_like(wiring.sensory), slice(0, 0)
    for number, part in enumerate(wiring.layer_slices()):
        internal[part, part] = internal[before, part] = 1
        if number == 0:
            sensory[:, part] = 1
        before = part
    return Wiring(sensory, internal, wiring.layers, f"every synapse of {wiring.name}", wiring.motors)


def _sparsity_rows() -> list[Row]:
    """Does the strict wiring's sparsity pay: against an LSTM, and against itself with every synapse."""
    x, strict = torch.randn(BATCH, LENGTH, INPUTS), cfc_preset(INPUTS)
    full = every_synapse(strict.wiring)
    steps: dict[str, Step] = {
        "lstm": learning_of_theirs(nn.LSTM(INPUTS, strict.neurons, batch_first=True), x)
    }
    for name in _backends():
        for what, wiring in (("strict", strict.wiring), ("full", full)):
            cell = WiredCfC(INPUTS, wiring)
            use_backend(cell, name)
            steps[f"{what} {name}"] = learning(cell, x)
    seconds, rows = median_seconds(steps, REPEATS), []
    weights = WiredCfC(INPUTS, full).effective_parameters()
    for name in _backends():
        what = f"CfC, {name}: strict, {strict.neurons} neurons, {strict.effective_parameters():,} parameters"
        budget = LSTM_BUDGET if name == "torch" else FAST_LSTM_BUDGET
        mine = seconds[f"strict {name}"]
        rows.append(timing_row(what, mine, f"torch.nn.LSTM({strict.neurons})", seconds["lstm"], budget))
        against = f"the same neurons with every synapse, {weights:,} parameters"
        rows.append(timing_row(what, mine, against, seconds[f"full {name}"], None))
    return rows


def _ltc_rows() -> list[Row]:
    ncps, x = _ncps(), torch.randn(BATCH, LENGTH, INPUTS)
    wiring = auto_ncp(INPUTS, UNITS, COMMAND_SIZE)
    steps: dict[str, Step] = {}
    for name in _backends():
        cell = LtcCore(INPUTS, wiring)
        use_backend(cell, name)
        steps[name] = learning(cell, x)
    steps["ncps"] = learning_of_theirs(ncps.torch.LTC(INPUTS, ncps.wirings.AutoNCP(UNITS, COMMAND_SIZE)), x)
    seconds = median_seconds(steps, SLOW_REPEATS)
    rows = []
    for name, budget in (("torch", None), ("numba", LTC_BUDGET)):
        what = f"LTC, {name}: forward and backward, {BATCH} x {LENGTH}, same wiring, fused, 6 steps"
        if name in seconds:
            rows.append(timing_row(what, seconds[name], "ncps.torch.LTC", seconds["ncps"], budget))
        else:
            rows.append(_without_numba(what))
    return rows


def _gpu_rows() -> list[Row]:
    """Batch 256, length 256 against cuDNN's LSTM, where a GPU is to be had."""
    what = f"CfC on a GPU, torch: forward and backward, {GPU_BATCH} x {GPU_LENGTH}, {UNITS} neurons"
    if not torch.cuda.is_available():
        return [skipped_row(what, "not run: no GPU here")]
    x = torch.randn(GPU_BATCH, GPU_LENGTH, INPUTS, device="cuda")
    cell, lstm = wired_cfc().cuda(), nn.LSTM(INPUTS, UNITS, batch_first=True).cuda()
    steps = {"ours": learning(cell, x), "cudnn": learning_of_theirs(lstm, x)}

    def finished(step: Step) -> Step:
        def run() -> None:
            step()
            torch.cuda.synchronize()

        return run

    seconds = median_seconds({name: finished(step) for name, step in steps.items()}, REPEATS)
    return [timing_row(what, seconds["ours"], f"cuDNN's LSTM({UNITS})", seconds["cudnn"], None)]


def _growth_rows(batch: int, length: int) -> list[Row]:
    x = torch.randn(batch, length, INPUTS)
    steps: dict[str, Step] = {name: learning(wired_cfc(name), x) for name in _backends()}
    steps["lstm"] = learning_of_theirs(nn.LSTM(INPUTS, UNITS, batch_first=True), x)
    seconds = median_seconds(steps, TABLE_REPEATS)
    return [
        timing_row(
            f"CfC, {name}, {batch} x {length}",
            seconds[name],
            f"torch.nn.LSTM({UNITS})",
            seconds["lstm"],
            None,
        )
        for name in _backends()
    ]


def _network_rows() -> list[Row]:
    """Every network by name against the LSTM of the same size, in plain torch."""
    x = torch.randn(BATCH, LENGTH, INPUTS)
    seconds = median_seconds(
        {name: learning(preset(INPUTS), x) for name, preset in CORES.items()}, SLOW_REPEATS
    )
    return [
        timing_row(f"{name}, {BATCH} x {LENGTH}", seconds[name], "lstm", seconds["lstm"], None)
        for name in CORES
    ]

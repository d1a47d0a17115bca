"""The benchmarks of networks and training: what is measured beside what, and what is said where it is not."""

import shutil

import numpy as np
import pytest
import torch

from navstack.policies import benchmark
from navstack.policies.benchmark import training
from navstack.policies.benchmark.timing import median_seconds, threads
from navstack.policies.cores import cfc_preset
from navstack.policies.wiring import auto_ncp


@pytest.fixture
def quick(monkeypatch):
    """Small sizes and few runs: the rows are looked at, not the figures."""
    for name, value in (
        ("BATCH", 2),
        ("LENGTH", 3),
        ("REPEATS", 1),
        ("SLOW_REPEATS", 1),
        ("TABLE_REPEATS", 1),
        ("INDUCTOR_LENGTH", 1),
    ):
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setattr(benchmark, "_compile_rows", list)


@pytest.mark.slow
def test_both_back_ends_stand_against_ncps_and_the_lstm(quick):
    rows = benchmark.bench_networks()
    budgets = [
        (row["what"].split(":")[0], row["against"].split("(")[0], row["budget"])
        for row in rows
        if row["against"]
    ]
    assert ("CfC, torch", "ncps.torch.CfC", 1 / 8) in budgets
    assert ("CfC, torch", "torch.nn.LSTM", 3.0) in budgets
    assert ("CfC, numba", "ncps.torch.CfC", 1 / 20) in budgets
    assert ("CfC, numba", "torch.nn.LSTM", 1.5) in budgets
    assert ("LTC, numba", "ncps.torch.LTC", 1 / 10) in budgets
    assert any("every synapse" in (row["against"] or "") for row in rows)
    compiled = [row for row in rows if row["what"].startswith("CfC, torch.compile")]
    assert len(compiled) == (2 if shutil.which("g++") or shutil.which("clang++") else 1)


def test_what_is_not_here_is_said(quick, monkeypatch):
    monkeypatch.setattr(benchmark, "find_spec", lambda _: None)
    monkeypatch.setattr(benchmark.shutil, "which", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    rows = benchmark.bench_networks()
    said = {row["what"].split(":")[0]: row["against"] for row in rows if row["value"] is None}
    assert said["CfC, numba"] == said["LTC, numba"] == "not run: pip install 'navstack[fast]' brings numba"
    assert said["CfC, torch.compile"].startswith("not run: torch.compile needs a C++ compiler")
    assert said["CfC on a GPU, torch"] == "not run: no GPU here"


@pytest.mark.slow
def test_the_full_table_has_every_size_and_every_network(quick, monkeypatch):
    monkeypatch.setattr(benchmark, "BATCHES", (1, 2))
    monkeypatch.setattr(benchmark, "LENGTHS", (2, 3))
    rows = benchmark.bench_networks_full()
    sizes = {row["what"].rsplit(", ")[-1] for row in rows if row["what"].startswith("CfC")}
    assert sizes == {"1 x 2", "1 x 3", "2 x 2", "2 x 3"}
    assert {"gru-ode, 2 x 3", "ssm, 2 x 3", "cfc-strict, 2 x 3"} <= {row["what"] for row in rows}


def test_every_synapse_is_there_and_no_other():
    wiring = auto_ncp(5, 20, 3)
    full = benchmark.every_synapse(wiring)
    inter, command, motor = wiring.layers
    assert full.synapses == 5 * inter + inter**2 + inter * command + command**2 + command * motor + motor**2
    assert ((wiring.internal != 0) <= (full.internal != 0)).all()
    assert np.count_nonzero(wiring.sensory) < np.count_nonzero(full.sensory)


@pytest.mark.slow
def test_the_training_benchmark_counts_frames_shares_and_the_floor(monkeypatch):
    monkeypatch.setattr(training, "REPEATS", 1)
    monkeypatch.setattr(training, "FRAMES", 4)
    monkeypatch.setattr(training, "WINDOWS", 2)
    monkeypatch.setattr(training, "MATRIX", 512)
    rows = {row["what"]: row for row in training.bench_train()}
    whole = rows["learning, whole policy"]
    assert whole["unit"] == "frames/s"
    assert 0.0 < whole["ratio"] < 1.0  # of what the multiply-adds alone would allow
    assert rows["of the multiply-adds: vision"]["value"] > 95.0
    assert rows["learning, whole policy, core by numba"]["against"] == "with torch"


def test_everything_is_timed_in_turn_and_the_threads_are_put_back():
    calls, before = [], torch.get_num_threads()
    with threads(1):
        seconds = median_seconds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
        assert torch.get_num_threads() == 1
    assert calls == ["a", "b"] * 5
    assert set(seconds) == {"a", "b"}
    assert torch.get_num_threads() == before


def test_the_median_is_of_the_clock_that_is_given():
    now, takes = [0.0], iter([50.0, 60.0, 70.0, 1.0, 7.0, 2.0])  # s; the first three runs warm up

    def step():
        now[0] += next(takes)

    assert median_seconds({"a": step}, repeats=3, clock=lambda: now[0]) == {"a": 2.0}


def test_the_reference_cell_is_wired_as_in_ncps():
    cell = benchmark.wired_cfc()
    assert (cell.connectivity, cell.neurons, cell.input_size) == ("ncps", 64, 64)
    assert cfc_preset(64).neurons > cell.neurons

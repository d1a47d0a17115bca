"""`navstack bench env`: what is measured beside what, and what is said where the rival is not there."""

import sys

import numpy as np
import pytest

from navstack.benchmarks import limit_row, machine, rate_row
from navstack.envs import benchmark
from navstack.envs.benchmark.rival import ENVIRONMENTS, VARIABLE, Rival
from navstack.envs.compiled import COMPILED, backend


@pytest.mark.parametrize(
    ("python", "reason"),
    [(sys.executable, "No module named 'gym_pybullet_drones'"), ("/nowhere/python", "does not start")],
)
def test_a_rival_that_is_not_there_is_a_row_that_says_so(monkeypatch, python, reason):
    monkeypatch.setenv(VARIABLE, python)
    rows = benchmark._rival_rows()
    assert len(rows) == len(ENVIRONMENTS)
    for row in rows:
        assert row["held"] is None
        assert row["value"] is None
        assert "not run" in row["against"]
        assert reason in row["against"]


def test_a_rate_is_held_from_its_budget_up_and_a_limit_down_to_it():
    assert rate_row("a", 8.0, "b", 1.0, 8.0)["held"]
    assert not rate_row("a", 7.9, "b", 1.0, 8.0)["held"]
    assert rate_row("a", 1.0, "b", 1.0, None)["held"] is None
    assert limit_row("a", 50.0, "ms", 50.0)["held"]
    assert not limit_row("a", 50.1, "ms", 50.0)["held"]


def test_the_same_work_is_a_plane_without_a_target_in_view(monkeypatch):
    ours = Rival.same_work(camera=True)
    image = ours.reset(seed=1)[0]["image"].astype(int)
    redness = image[..., 0] - image[..., 1:].max(axis=-1)
    assert image.shape == (48, 64, 3)
    assert redness.max() < 60
    assert ours.step(np.zeros(4, np.float32))[0]["dt"] == pytest.approx(1 / 24)
    assert not ours.simulator.scene.statics
    ours.close()


def test_a_step_says_what_computes_it(monkeypatch):
    monkeypatch.setattr(benchmark, "STEPS", 4)
    for row, world in zip(benchmark.step_rows(None), ("meadow", "forest"), strict=True):
        assert row["what"] == f"environment step with camera, {world}, by {backend()}"
        assert row["held"] is None
        assert 0.5 < row["ratio"] < 10.0
    assert (backend() == "python") != COMPILED


def test_the_machine_is_named():
    assert "cores, Python 3." in machine()

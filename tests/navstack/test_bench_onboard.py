"""`navstack bench onboard`: its rows, with less to do."""

import numpy as np
import pytest

from navstack.bench import onboard
from navstack.bench.references import onnxruntime_default, time_steps
from navstack.benchmarks import FIELDS
from navstack.policy import OnnxPolicy


def test_the_reference_steps_as_the_policy_does():
    """ONNX Runtime with its own settings computes the same command: only the time may differ."""
    policy, rng = OnnxPolicy.load("fly-to-target"), np.random.default_rng(0)
    step = onnxruntime_default("fly-to-target")
    image = rng.integers(0, 256, (64, 96, 3), np.uint8)
    found = time_steps(step, image, 5, 0.0)
    assert len(found["seconds"]) == 5
    assert all(0.0 < seconds < 1.0 for seconds in found["seconds"])
    assert policy.step(image, 0.05).is_finite()


def test_paced_steps_keep_their_period():
    found = time_steps(lambda image, dt: None, np.zeros((1, 1, 3), np.uint8), 20, 0.01)
    assert max(found["seconds"]) < 0.01
    assert found["processor"] < 0.9


@pytest.mark.slow
def test_every_row_has_its_fields_and_the_ratio_to_torch_eager_is_there(monkeypatch):
    monkeypatch.setattr(onboard, "STEPS", 300)
    monkeypatch.setattr(onboard, "REFERENCE_STEPS", 90)
    monkeypatch.setattr(onboard, "HOUR", 120.0)
    monkeypatch.setattr(onboard, "PACED_SECONDS", 2.0)
    rows = onboard.bench_onboard()
    assert all(set(FIELDS) <= set(row) for row in rows)
    eager = next(row for row in rows if row["against"] == "torch eager")
    assert eager["held"] == (eager["ratio"] <= 0.25)
    frames = [row["value"] for row in rows if row["what"].endswith("frames")]
    assert len(frames) == 2
    assert min(frames) > 10.0

"""Scripts that compare networks: they go on where they stopped, and their figures count what was flown."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from navstack.policies.imitation.config import TrainConfig

ROOT = Path(__file__).parents[1]


def script(name):
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*words):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_memory_script_does_nothing_twice(tmp_path):
    out = tmp_path / "memory.jsonl"
    words = ("scripts/memory.py", out, "--delay", "4", "--steps", "2", "--network")
    assert "cfc-strict+time" in run(*words, "cfc-strict+time")
    first = out.read_text()
    table = run(*words, "cfc-strict+time")
    assert out.read_text() == first
    assert table.strip().splitlines()[0] == "| network | 4 frames |"
    row = json.loads(first)
    assert (row["network"], row["delay"], row["tested"]) == ("cfc-strict+time", 4, 512)
    assert row["ci_low"] < row["share"] < row["ci_high"]


def rows(network, count, *successes):
    return [
        {
            "network": network, "demonstrations": count, "seed": seed, "episodes": 100, "successes": won,
            "success_rate": won / 100, "ci_low": 0.0, "ci_high": 1.0,
        }
        for seed, won in enumerate(successes)
    ]  # fmt: skip


def test_trainings_of_one_kind_are_counted_together():
    module = script("demonstrations")
    found = rows("lstm", 100, 40, 60) + rows("lstm", 10, 5, 5) + rows("mlp", 10, 1, 1)
    (few, low, *_), (many, high, below, above) = module.pooled(found, "lstm")
    assert (few, low, many, high) == (10, 0.05, 100, 0.5)
    assert below == pytest.approx(0.4313, abs=1e-3)  # Wilson, 100 of 200
    assert above == pytest.approx(0.5687, abs=1e-3)
    drawn = module.figure(found, TrainConfig())
    assert drawn.startswith(b"\x89PNG")


@pytest.mark.slow
def test_demonstrations_are_flown_once_and_cloned_by_every_network(tmp_path):
    words = ("scripts/demonstrations.py", tmp_path, "--network", "cfc-strict", "mlp", "--steps", "3")
    run(*words, "--count", "2", "--episodes", "1")
    flown = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "episodes").iterdir()}
    run(*words, "--count", "2", "3", "--episodes", "1")
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "episodes").iterdir()}
    assert len(flown) == 2
    assert len(again) == 3
    assert flown.items() <= again.items()
    found = json.loads((tmp_path / "demonstrations.json").read_text())
    assert [(row["network"], row["demonstrations"], row["episodes"]) for row in found] == [
        ("cfc-strict", 2, 4), ("mlp", 2, 4), ("cfc-strict", 3, 4), ("mlp", 3, 4),
    ]  # fmt: skip

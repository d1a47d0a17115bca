"""Scripts that compare networks: they go on where they stopped, and their figures count what was flown."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from navstack.policies.imitation.config import TrainConfig
from navstack.policies.vision import Vision
from navstack.policy import OnnxPolicy

ROOT = Path(__file__).parents[1]


def script(name):
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def run(*words):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["memory", "demonstrations"])
def test_an_unknown_network_is_one_sentence_and_nothing_is_written(name, tmp_path):
    command = [sys.executable, ROOT / f"scripts/{name}.py", tmp_path / "out", "--network", "cfc-strikt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"{name}.py: error: network 'cfc-strikt' not found; did you mean 'cfc-strict'?"
    )
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


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


def test_front_ends_stay_in_their_budget_and_see_the_same_map():
    module = script("frontends")
    pictures = torch.randint(0, 256, (3, 64, 96, 3), dtype=torch.uint8)
    for candidate in module.FRONT_ENDS.values():
        vision = candidate.vision(64, 96)
        assert 20_000 < vision.parameter_count() < 50_000
        assert vision(pictures).shape == (3, 48)
        assert vision.convolutions(vision.pixels(pictures)).shape[2:] == (8, 12)


def test_front_ends_are_computed_alike_in_every_layout():
    module = script("frontends")
    shipped, plane_by_plane = Vision(), module.ContiguousVision()
    plane_by_plane.load_state_dict(shipped.state_dict())
    pictures = torch.randint(0, 256, (3, 64, 96, 3), dtype=torch.uint8)
    torch.testing.assert_close(plane_by_plane(pictures), shipped(pictures), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plane_by_plane.eval()(pictures), shipped(pictures), atol=1e-4, rtol=1e-4)


def test_an_attention_map_says_where_its_brightest_cell_is():
    head = script("frontends").SpatialAttention(channels=1, height=8, width=12, maps=1)
    maps = torch.zeros(1, 1, 8, 12)
    maps[0, 0, 7, 0] = 1.0  # bottom left
    with torch.no_grad():
        head.key_value.weight.copy_(torch.tensor([[50.0], [3.0]]))
        head.key_value.bias.zero_()
        found = head(maps)[0].tolist()
    assert found == pytest.approx(
        [-1.0, 1.0, 1.0, 1.0, 3.0, 50.0], abs=1e-5
    )  # x, y, x^2, y^2, what, how sure


def test_front_ends_are_compared_over_the_flights_that_both_flew():
    module = script("frontends")
    won = {"6s4-flat": [[True] * 8 + [False] * 2, [True] * 10], "8s4-attention": [[True] * 5 + [False] * 5]}
    rows = [
        {"front_end": name, "seed": seed, "won": flown}
        for name, seeds in won.items()
        for seed, flown in enumerate(seeds)
    ]
    assert module.success("6s4-flat", rows) == ("18 of 20, 90.0% [69.9, 97.2]", "")  # Wilson
    rate, difference = module.success("8s4-attention", rows)
    assert rate.startswith("5 of 10, 50.0%")
    assert difference.startswith("-30.0 [")  # against 8 of 10, not 18 of 20
    assert module.success("5s2-flat", rows) == ("", "")


@pytest.mark.slow
def test_front_ends_learn_the_same_demonstrations_and_none_twice(tmp_path):
    words = ("scripts/frontends.py", tmp_path, "--demonstrations", "2", "--steps", "3", "--episodes", "1")
    run(*words, "--repeats", "1", "--frontend", "6s4-flat")
    first = json.loads((tmp_path / "frontends.json").read_text())
    policy = tmp_path / "policies" / "6s4-flat-2-3-0.onnx"
    before, speed = policy.stat().st_mtime_ns, (tmp_path / "speed.json").read_text()
    out = run(*words, "--frontend", "6s4-flat", "8s4-attention")
    rows = json.loads((tmp_path / "frontends.json").read_text())
    assert rows[:1] == first
    assert [(row["front_end"], row["episodes"], len(row["won"])) for row in rows] == [
        ("6s4-flat", 4, 4), ("8s4-attention", 4, 4),
    ]  # fmt: skip
    assert policy.stat().st_mtime_ns == before
    assert (tmp_path / "speed.json").read_text() == speed
    assert OnnxPolicy.load(policy).card.vision_parameters == json.loads(speed)["6s4-flat"]["parameters"]
    assert all(entry["frames_per_second"] > 0.0 for entry in json.loads(speed).values())
    assert len([line for line in out.splitlines() if line.startswith("| ")]) == 1 + len(json.loads(speed))

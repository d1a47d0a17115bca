"""The demo's order of work, with a stand-in for the program it calls: what it leaves, and how it goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from navstack.policy import model_names

ROOT = Path(__file__).parents[1]
RESULTS = ["card.json", "flight.mcap", "flight.mp4", "index.html", "policy.onnx", "results.json"]
PROGRAM = f"""#!{sys.executable}
import os, sys
from pathlib import Path

command, words = sys.argv[1], sys.argv[2:]
with Path(os.environ["CALLS"]).open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if command == os.environ.get("BROKEN"):
    sys.exit(2)
for flag in ("--json", "--video", "--report", "--log"):
    if flag in words and command != "inspect":
        path = Path(words[words.index(flag) + 1])
        assert not path.exists(), path
        path.write_text(flag)
if command == "train":
    out = Path(words[words.index("--out") + 1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "policy.onnx").write_text("onnx")
    (out / "metrics.jsonl").write_text("")
if command == "inspect" and "--json" in words:
    print('{{"card": {{"task": "FlyToTarget"}}}}')
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose set-up does nothing and whose program is the stand-in."""
    root = tmp_path / "checkout"
    (root / "scripts").mkdir(parents=True)
    (root / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/demo", root / "scripts/demo")
    (root / "scripts/setup").write_text("#!/bin/sh\necho set-up\n")
    (root / ".venv/bin/navstack").write_text(PROGRAM)
    (root / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for path in ("scripts/setup", ".venv/bin/navstack", ".venv/bin/python"):
        (root / path).chmod(0o755)
    return root


def demo(checkout: Path, *words: str, broken: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CALLS": str(checkout / "calls"), "BROKEN": broken}
    command = [str(checkout / "scripts/demo"), *words]
    return subprocess.run(
        command, cwd=checkout.parent, env=environment, capture_output=True, text=True, check=False
    )


def calls(checkout: Path) -> list[str]:
    return [line.split()[0] for line in (checkout / "calls").read_text().splitlines()]


def test_it_leaves_one_folder_and_prints_its_path_last(checkout: Path) -> None:
    answer = demo(checkout)
    out = checkout / "runs/demo"
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == str(out)
    assert sorted(path.name for path in out.iterdir()) == sorted([*RESULTS, "training"])
    assert calls(checkout) == ["train", "inspect", "inspect", "evaluate", "fly"]
    for world in ("autumn", "winter", "urban", "warehouse"):
        assert world in (checkout / "calls").read_text()
    assert "s in all" in answer.stdout


@pytest.mark.parametrize("broken", ["train", "inspect", "evaluate", "fly"])
def test_stopped_in_any_stage_it_goes_on_from_there(checkout: Path, broken: str) -> None:
    stopped = demo(checkout, "--out", "mine", broken=broken)
    out = checkout.parent / "mine"
    assert stopped.returncode == 1
    assert "the same command goes on from here" in stopped.stderr
    assert not (out / "index.html").exists()
    assert demo(checkout, "--out", "mine").returncode == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*RESULTS, "training"])
    assert calls(checkout).count("evaluate") == (2 if broken == "evaluate" else 1)


def test_a_finished_demo_is_left_alone(checkout: Path) -> None:
    demo(checkout)
    before = {path: path.stat().st_mtime_ns for path in (checkout / "runs").rglob("*")}
    again = demo(checkout)
    assert again.returncode == 1
    assert "holds a finished demo" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in (checkout / "runs").rglob("*")} == before


@pytest.mark.skipif(not model_names(), reason="no policy ships with this checkout")
def test_the_shipped_policy_is_judged_without_training(checkout: Path) -> None:
    answer = demo(checkout, "--pretrained")
    assert answer.returncode == 0, answer.stderr
    out = checkout / "runs/demo-pretrained"
    assert sorted(path.name for path in out.iterdir()) == RESULTS
    assert calls(checkout) == ["inspect", "inspect", "evaluate", "fly"]

"""Something breaks in flight: one flight of each kind, judged as `scripts/faults` judges a thousand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from navstack.autopilot.link import Firmware
from navstack.envs.faults.cases import CASES, fly_case
from navstack.envs.navigation import NavigationEnv
from navstack.policy import OnnxPolicy

ROOT = Path(__file__).parents[2]
QUICK = ("estimate jumped",)


@pytest.fixture(scope="module")
def equipment():
    environment = NavigationEnv(task="FlyToTarget", world="meadow", purpose="evaluate")
    yield environment, OnnxPolicy.load("fly-to-target")
    environment.close()


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name, marks=() if c.name in QUICK else pytest.mark.slow) for c in CASES]
)
def test_what_follows_a_fault_is_what_the_table_says(case, equipment, tmp_path):
    firmware = list(Firmware)[CASES.index(case) % 2]
    verdict = fly_case(case, *equipment, 4_400_000 + CASES.index(case), firmware, tmp_path / "flight.mcap")
    assert verdict.ok, verdict.wrong
    assert not verdict.flyaway


def test_without_the_guards_answer_a_fault_is_found_out(equipment, tmp_path, monkeypatch):
    """The judge is no rubber stamp: with the rule taken away, it says so."""
    from navstack.safety import blank

    monkeypatch.setattr(blank, "is_blank", lambda image: False)
    case = next(case for case in CASES if case.name == "camera black")
    verdict = fly_case(case, *equipment, 4_400_100, Firmware.PX4, tmp_path / "flight.mcap")
    assert not verdict.ok
    assert "blank frames: hover after inf s" in verdict.wrong


@pytest.mark.slow
def test_the_script_goes_on_where_it_was_stopped(tmp_path):
    out = tmp_path / "faults.jsonl"
    command = [
        sys.executable,
        str(ROOT / "scripts/faults"),
        str(out),
        "--case",
        "disk full",
        "--workers",
        "1",
    ]
    first = subprocess.run([*command, "--flights", "1"], capture_output=True, text=True, timeout=120)
    assert first.returncode == 0, first.stderr
    out.write_text(out.read_text() + '{"case": "disk f')  # as a kill leaves it
    again = subprocess.run(
        [*command, "--flights", "1", "--table"], capture_output=True, text=True, timeout=120
    )
    assert again.stdout == first.stdout
    assert "| disk full | 1 | 1 " in again.stdout
    assert json.loads(out.read_text().splitlines()[0])["flyaway"] is False

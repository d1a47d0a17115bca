"""Faults from outside, on the wall clock, judged as `scripts/faults --outside` does."""

import os
import signal
from dataclasses import replace

import pytest

from navstack.autopilot.link import Firmware
from navstack.envs.faults.outside import CASES, fly_outside
from navstack.envs.navigation import NavigationEnv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores"),
]
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def environment():
    made = NavigationEnv(task="FlyToTarget", world="meadow", purpose="evaluate")
    yield made
    made.close()


@pytest.mark.parametrize("name", BY_NAME)
def test_what_follows_is_what_the_documents_say(name, environment):
    index = list(BY_NAME).index(name)
    verdict = fly_outside(BY_NAME[name], environment, 4_500_000 + index, list(Firmware)[index % 2])
    assert verdict.ok, verdict.wrong
    assert not verdict.flyaway


def test_where_nothing_breaks_the_judge_misses_what_should_follow(environment):
    """The judge is no rubber stamp: the same expectations, and nothing is done."""
    case = replace(BY_NAME["recorder killed"], act=lambda station, since, seed: None)
    verdict = fly_outside(case, environment, 4_500_100, Firmware.PX4)
    assert not verdict.ok
    assert "the recorder is gone: after inf s" in verdict.wrong


def test_an_autopilot_whose_failsafe_is_too_slow_is_found_out(environment):
    def kill_where_nobody_watches(station, since, seed):
        if station.stage == 0:
            station.autopilot.parameters["COM_OF_LOSS_T"].value = 10.0
            station.signal_loop(signal.SIGKILL)
            station.stage = 1

    case = replace(BY_NAME["loop killed"], act=kill_where_nobody_watches)
    verdict = fly_outside(case, environment, 4_500_101, Firmware.PX4)
    assert not verdict.ok
    assert "offboard loss failsafe: after inf s" in verdict.wrong

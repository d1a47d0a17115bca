"""Judging an exported policy: the shipped one, flown for real."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from navstack.contract import ZERO_COMMAND
from navstack.envs.evaluation.run import Conditions, evaluate, plan
from navstack.envs.flight import connect
from navstack.envs.navigation import NavigationEnv
from navstack.errors import InputError
from navstack.flight import fly
from navstack.policy import OnnxPolicy, model_names
from navstack.safety import guard_for
from navstack.timing import FrameTiming

POLICY = "fly-to-target"


def run(*arguments, **options):
    command = [sys.executable, "-m", "navstack", "evaluate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_the_result_does_not_depend_on_the_number_of_workers():
    def judged(workers):
        rows, records = evaluate(POLICY, ["park"], 4, 77, Conditions(), workers=workers)
        for row in rows:
            row.pop("wall_seconds")
        return rows, records

    (rows_1, records_1), (rows_2, records_2) = judged(1), judged(2)
    assert rows_1 == rows_2
    for one, other in zip(records_1, records_2, strict=True):
        assert (one.seed, one.outcome, one.seconds) == (other.seed, other.outcome, other.seconds)
        assert np.array_equal(one.trajectory, other.trajectory)


def test_the_shipped_policy_finds_its_target_in_dev_worlds():
    rows, _ = evaluate(POLICY, ["park", "farmland"], 6, 900, Conditions(), workers=2)
    assert rows[-1]["world"] == "all"
    assert rows[-1]["episodes"] == 12
    assert rows[-1]["successes"] >= 10


def test_seeds_and_worlds_make_the_plan():
    jobs = plan(POLICY, ["park", "farmland"], 3, 10, Conditions(), filmed=1)
    assert [(job.world, job.seed) for job in jobs] == [
        (w, s) for w in ("park", "farmland") for s in (10, 11, 12)
    ]
    assert [job.film for job in jobs] == [True, False, False] * 2


def test_the_command_writes_rows_with_every_field(tmp_path):
    out = tmp_path / "rows.json"
    done = run(
        POLICY, "--world", "meadow", "--episodes", "2", "--seed", "5", "--workers", "1", "--json", str(out)
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())
    assert set(row) == {
        "policy", "env", "world", "perturb", "episodes", "successes", "success_rate", "ci_low", "ci_high",
        "collisions", "timeouts", "seed", "wall_seconds", "task_options", "trained_for",
    }  # fmt: skip
    assert row["episodes"] == 2
    assert row["successes"] + row["collisions"] + row["timeouts"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((POLICY, "--world", "wintr"), "did you mean 'winter'"),
        ((POLICY, "--env", "FlyToTarge"), "did you mean 'FlyToTarget'"),
        ((POLICY, "--env", "Search"), "trained for FlyToTarget, not for Search; --other-task flies it"),
        ((POLICY, "--task-option", "distanse=2"), "no parameter 'distanse'"),
        ((POLICY, "--task-option", "distance"), "not name=value"),
        ((POLICY, "--airframe", "crazyflye"), "did you mean 'crazyflie'"),
        ((POLICY, "--episodes", "0"), "at least 1"),
        ((POLICY, "--rate", "500"), "rate_hz is 500"),
        (("fly-to-targe",), "did you mean 'fly-to-target'"),
        ((POLICY, "--json", "/nowhere/at/all.json"), "does not exist"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_task_is_flown_where_that_is_asked_for_and_is_said(tmp_path):
    out, page = tmp_path / "rows.json", tmp_path / "index.html"
    arguments = ("--env", "Distractors", "--world", "park", "--episodes", "1", "--seed", "8800000")
    done = run(POLICY, *arguments, "--workers", "1", "--other-task", "--json", out, "--report", page)
    assert done.returncode == 0, done.stderr
    assert "(trained for FlyToTarget) in Distractors" in " ".join(done.stdout.split())
    (row,) = json.loads(out.read_text())
    assert (row["env"], row["trained_for"], row["episodes"]) == ("Distractors", "FlyToTarget", 1)
    words = page.read_text(encoding="utf-8")
    assert "the policy was trained for FlyToTarget, not for Distractors" in words
    assert "navstack evaluate fly-to-target --env Distractors --other-task --world park" in words


def test_the_conditions_say_whether_another_task_may_be_flown():
    with pytest.raises(InputError, match="trained for FlyToTarget, not for Search"):
        evaluate(POLICY, ["park"], 1, 1, Conditions(env="Search"), workers=1)
    rows, (record,) = evaluate(
        POLICY, ["park"], 1, 1, Conditions(env="Clutter", task_options=("density=0.01",), other_task=True),
        workers=1,
    )  # fmt: skip
    assert rows[0]["trained_for"] == record.trained_for == "FlyToTarget"
    assert record.env == "Clutter density=0.01"


def test_an_existing_result_is_left_alone(tmp_path):
    out = tmp_path / "rows.json"
    out.write_text("precious")
    done = run(POLICY, "--json", str(out))
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert out.read_text() == "precious"


def test_an_interrupt_ends_with_one_sentence(tmp_path):
    out = tmp_path / "rows.json"
    command = [sys.executable, "-m", "navstack", "evaluate", POLICY, "--episodes", "500", "--json", str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        time.sleep(6.0)  # in the middle of flying
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not out.exists()


def test_lying_about_dt_changes_the_commands():
    """What a policy commands depends on the interval that it is told."""

    class Liar:
        def __init__(self, policy, factor):
            self.policy, self.factor = policy, factor
            self.card = policy.card

        def reset(self):
            self.policy.reset()

        def step(self, image, dt):
            return self.policy.step(image, self.factor * dt)

    def commands(factor):
        environment = NavigationEnv(world="park", purpose="dev", timing=FrameTiming(rate_hz=10.0))
        environment.reset(seed=3)
        flight = environment.flight()
        sent = []
        policy = Liar(OnnxPolicy.load(POLICY), factor)
        fly(policy, None, flight, flight, flight, finished=lambda: flight.finished or flight.now() > 4.0,
            observers=[lambda tick: sent.append(tick.command)])  # fmt: skip
        environment.close()
        return np.array([command.as_array() for command in sent[:30]])

    true, lie = commands(1.0), commands(0.25)
    assert np.abs(true - lie).max() > 0.02


def test_a_flight_can_be_connected_by_name():
    flight = connect(env="FlyToTarget", world="meadow", seed=1)
    policy = OnnxPolicy.load(POLICY)
    summary = fly(policy, guard_for(policy.card), flight, flight, flight, finished=lambda: flight.now() > 1.0)
    assert summary.frames == pytest.approx(20, abs=2)
    flight.send(ZERO_COMMAND)
    assert POLICY in model_names()


def test_frames_that_are_lost_are_never_shown():
    environment = NavigationEnv(world="park", purpose="dev", timing=FrameTiming(drop_probability=0.5))
    environment.reset(seed=2)
    flight = environment.flight()
    ticks = []
    policy = OnnxPolicy.load(POLICY)
    fly(policy, guard_for(policy.card), flight, flight, flight,
        finished=lambda: flight.finished or flight.now() > 6.0, observers=[ticks.append])  # fmt: skip
    seen = [tick for tick in ticks if tick.frame is not None]
    assert 0.3 < len(seen) / (6.0 * 20.0) < 0.7
    assert len(ticks) > 1.2 * len(seen)  # the guard turns between frames too
    gaps = [tick.dt for tick in seen[1:]]
    assert max(gaps) > 0.09
    assert min(gaps) == pytest.approx(0.05)
    environment.close()

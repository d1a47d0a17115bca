"""A flight log once more: through its own policy and guard, others, and into training data."""

import contextlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import Limits
from navstack.episodes import load_episode
from navstack.errors import InputError
from navstack.policies.imitation.logs import episodes_from_logs
from navstack.policy import OnnxPolicy
from navstack.replay import compare, read_log
from navstack.safety import GuardConfig, guard_for

POLICY = "fly-to-target"


def navstack(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "navstack", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "flight.mcap"
    done = navstack("fly", POLICY, "--seed", 1, "--log", path)
    assert path.exists(), done.stderr
    return path


def test_through_its_own_policy_and_guard_nothing_differs(log):
    found = read_log(log)
    policy = OnnxPolicy.load(POLICY)
    same = compare(found, policy, guard_for(policy.card, found.guard))
    assert same.turns > 100
    assert same.frames > 100
    assert (same.turns_that_differ, same.last_difference) == (0, None)
    assert max(most for _, most in same.policy.values()) < 1e-6
    assert set(same.events_now) == set(same.events_then)


def test_another_guard_shows_what_it_would_have_sent(log):
    found, policy = read_log(log), OnnxPolicy.load(POLICY)
    slower = guard_for(policy.card, found.guard, Limits(0.3, 0.3, 0.3, 0.3))
    other = compare(found, policy, slower)
    assert other.turns_that_differ > 50
    assert 2.0 < other.last_difference <= found.turns[-1].time - found.turns[0].time
    assert other.sent["forward"][1] > 0.5
    assert max(most for _, most in other.policy.values()) < 1e-6
    tight = guard_for(policy.card, replace(found.guard, fence=2.0))
    assert compare(found, policy, tight).events_now.get("boundaries", 0) > 0


def test_another_policy_shows_what_it_would_have_commanded(log, make_policy, make_card):
    found = read_log(log)
    policy = OnnxPolicy.load(POLICY)

    class Contrary(OnnxPolicy):
        def step(self, image, dt):
            command = super().step(image, dt)
            return replace(command, forward=-command.forward)

    contrary = Contrary(policy._session, policy.card)
    other = compare(found, contrary, guard_for(policy.card))
    assert other.policy["forward"][1] > 1.0
    assert other.policy["left"][1] < 1e-6


def test_the_command_prints_and_writes_the_differences(log, tmp_path):
    out = tmp_path / "differences.json"
    done = navstack("replay", log, "--speed", "0.5", "--json", out)
    assert done.returncode == 0, done.stderr
    assert "turns on which another command would have left" in done.stdout
    assert json.loads(out.read_text())["turns_that_differ"] > 0


def test_a_log_cut_short_is_read_to_there(log, tmp_path):
    whole, cut = read_log(log), tmp_path / "cut.mcap"
    data = log.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    half = read_log(cut)
    assert 0.3 * len(whole.turns) < len(half.turns) < 0.7 * len(whole.turns)
    assert half.guard == whole.guard
    assert (half.cut, whole.cut) == (True, False)


@settings(max_examples=40)
@given(data=st.data())
def test_no_damage_of_a_log_crashes_the_reader(log, data, tmp_path_factory):
    whole = log.read_bytes()[:60_000]
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "flight.mcap"
    path.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    with contextlib.suppress(InputError):
        assert read_log(path).turns


@pytest.mark.parametrize("data", [b"", b"no log", b"\x89MCAP0\r\n"])
def test_what_is_no_log_is_one_sentence(data, tmp_path):
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    with pytest.raises(InputError, match="flight log"):
        read_log(path)


def test_a_log_becomes_an_episode_after_those_that_are_there(log, tmp_path):
    first, second = episodes_from_logs([log, log], tmp_path, None)
    (third,) = episodes_from_logs([log], tmp_path, POLICY)
    assert [path.name for path in (first, second, third)] == [f"r00_0000{n}.safetensors" for n in range(3)]
    episode, labelled, turns = load_episode(second), load_episode(third), read_log(log).turns
    frames = [turn for turn in turns if turn.frame is not None]
    assert len(episode) == len(frames)
    assert np.array_equal(episode.image[7], frames[7].frame.image)
    assert episode.facts.source == "log"
    assert np.array_equal(episode.expert_command, episode.command)
    thought = np.array([turn.command.as_array() for turn in frames])
    assert np.abs(labelled.expert_command - thought).max() < 1e-5
    assert not np.array_equal(labelled.expert_command, labelled.command)
    done = navstack("collect", "--out", tmp_path / "new", "--from-log", log)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "r00_00000.safetensors").exists()


def test_a_guards_numbers_come_back_from_the_log(log):
    assert read_log(log).guard == guard_for(OnnxPolicy.load(POLICY).card, GuardConfig()).config

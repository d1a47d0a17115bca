"""Flights to learn from: disturbances, mixtures, determinism, and what happens on a full disk."""

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import Limits, VehicleState, VelocityCommand
from navstack.episodes import episode_keys, load_episode
from navstack.errors import InputError
from navstack.policies.commands.collect import Collect
from navstack.policies.export import export_policy, policy_card
from navstack.policies.imitation.collecting import collect
from navstack.policies.imitation.config import CollectConfig
from navstack.policies.imitation.learn import LAST_RATE, imitation_loss, learning_rate
from navstack.policies.imitation.rollout import (
    CollectJob,
    Demonstration,
    Disturbance,
    collect_episode,
    draw_timing,
)
from navstack.policies.network import NetworkSpec, build_network
from navstack.workers import Workers

CONFIG = CollectConfig(worlds=("meadow", "forest"), longest=1.5)
LIMITS = Limits().as_array().astype(np.float64)
STATE = VehicleState(0.0, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))
IMAGE = np.zeros((64, 96, 3), np.uint8)


def digests(folder):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("r*.safetensors"))]


@pytest.fixture(scope="module")
def learner(tmp_path_factory):
    torch.manual_seed(0)
    spec = NetworkSpec()
    network = build_network(spec)
    path = tmp_path_factory.mktemp("learner") / "policy.onnx"
    export_policy(network, policy_card(network, spec, "FlyToTarget", ("box",), {}), path)
    return path


def test_workers_change_nothing(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for name, number in (("one", 1), ("two", 2)):
        with Workers(number) as workers:
            collect(tmp_path / name, CONFIG, 3, workers, lambda _: None)
    assert len(digests(tmp_path / "one")) == 3
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_only_what_misses_is_flown(tmp_path):
    with Workers(1) as workers:
        collect(tmp_path, CONFIG, 2, workers, lambda _: None)
        whole = digests(tmp_path)
        first = tmp_path / "r00_00000.safetensors"
        first.unlink()
        kept = (tmp_path / "r00_00001.safetensors").stat().st_mtime_ns
        counts = []
        done = collect(tmp_path, CONFIG, 2, workers, lambda so_far: counts.append(so_far.episodes))
    assert counts == [1, 2]
    assert done.episodes == 2
    assert digests(tmp_path) == whole
    assert (tmp_path / "r00_00001.safetensors").stat().st_mtime_ns == kept


def test_labels_are_the_undisturbed_expert_and_commands_are_what_was_flown(tmp_path):
    collect_episode(CollectJob(tmp_path, replace(CONFIG, longest=3.0), 0, 0))
    episode = load_episode(tmp_path / "r00_00000.safetensors")
    assert (np.abs(episode.expert_command) <= LIMITS + 1e-6).all()
    assert np.abs(episode.command - episode.expert_command).max() > 0.05
    assert episode.facts.source == "expert"
    assert episode.facts.world == "meadow"
    assert np.abs(np.diff(episode.expert_command, axis=0)).max() < 1.0


def test_a_learner_flies_as_the_exported_file(tmp_path, learner):
    facts, frames = collect_episode(CollectJob(tmp_path, CONFIG, 1, 0, str(learner), expert_share=0.0))
    episode = load_episode(tmp_path / "r01_00000.safetensors")
    assert (facts.source, facts.round, len(episode)) == ("dagger", 1, frames)
    assert (episode.dt > 0.0).all()


def test_flights_that_are_cut_off_say_so(tmp_path):
    facts, _ = collect_episode(CollectJob(tmp_path, replace(CONFIG, longest=0.5), 0, 1))
    assert facts.outcome == "cut off"


def test_collecting_imports_no_torch():
    code = "import navstack.policies.imitation.rollout, sys; print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"


def test_a_full_disk_is_one_sentence_and_leaves_earlier_episodes(tmp_path, monkeypatch):
    with Workers(1) as workers:
        collect(tmp_path, CONFIG, 1, workers, lambda _: None)
        before = digests(tmp_path)

        def full(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="disk is full"):
            collect(tmp_path, CONFIG, 3, workers, lambda _: None)
    monkeypatch.undo()
    assert digests(tmp_path) == before
    assert episode_keys(tmp_path) == [(0, 0)]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"world": ("meadw",)}, "did you mean 'meadow'"),
        ({"world": ("park",)}, "purpose 'train'"),
        ({"world": ("winter",)}, "held-out"),
        ({"world": ()}, "no world"),
        ({"env": "FlyToTargt"}, "task 'FlyToTargt' not found"),
        ({"episodes": 0}, "at least 1"),
    ],
)
def test_collect_refuses_in_a_sentence_before_it_flies(tmp_path, arguments, sentence):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=sentence):
        Collect(out=out, **arguments)()
    assert not out.exists()


def test_collect_keeps_out_of_other_folders(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="no collection of episodes"):
        Collect(out=tmp_path, episodes=1)()
    assert (tmp_path / "letter.txt").read_text() == "mine"


def test_collect_goes_on_only_with_the_same_collection(tmp_path):
    out = tmp_path / "out"
    assert Collect(out=out, world=("meadow",), episodes=1, workers=1)() == 0
    assert Collect(out=out, world=("meadow",), episodes=2, workers=1)() == 0
    assert episode_keys(out) == [(0, 0), (0, 1)]
    with pytest.raises(InputError, match="another collection"):
        Collect(out=out, world=("meadow",), episodes=2, seed=1)()


class StillFlight:
    """A flight in which nothing moves: for the pilot's own decisions."""

    expert = VelocityCommand(0.5, 0.1, -0.1, 0.2)

    def expert_command(self):
        return self.expert

    def state(self):
        return STATE


class OtherPilot:
    """A learner that always wants to back off."""

    command = VelocityCommand(-1.0, 0.0, 0.0, 0.0)

    def __init__(self, card):
        self.card = card
        self.seen = 0

    def reset(self):
        self.seen = 0

    def step(self, image, dt):
        self.seen += 1
        return self.command


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_expert_flies_its_share_of_segments_while_the_learner_sees_every_frame(share, tmp_path):
    from navstack.policies.imitation.rollout import EXPERT_CARD

    other = OtherPilot(EXPERT_CARD)
    job = CollectJob(tmp_path, CONFIG, 1, 0, "unused", expert_share=share)
    pilot = Demonstration(job, StillFlight(), other, np.random.default_rng(0))
    flown = [pilot.step(IMAGE, 0.05) for _ in range(20_000)]
    by_expert = sum(command == StillFlight.expert for command in flown) / len(flown)
    assert by_expert == pytest.approx(share, abs=0.06)
    assert other.seen == 20_000
    assert all(label == StillFlight.expert for _, _, label, _ in pilot.rows)


@given(dt=st.floats(0.01, 0.5), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_disturbed_command_stays_inside_the_limits(dt, seed):
    rng = np.random.default_rng(seed)
    disturbance = Disturbance(CollectConfig(sway=1.0, kicks_per_second=1.0), LIMITS, rng)
    for _ in range(50):
        assert (np.abs(disturbance.apply(LIMITS * 0.9, dt)) <= LIMITS + 1e-12).all()


@pytest.mark.parametrize("dt", [0.025, 0.1])
def test_the_sway_has_the_same_statistics_at_every_frame_rate(dt):
    config = CollectConfig(sway=0.2, sway_time=0.5, kicks_per_second=0.0, calm_after=(1e9, 1e9))
    disturbance = Disturbance(config, LIMITS, np.random.default_rng(0))
    noise = np.array([disturbance.apply(np.zeros(4), dt) / LIMITS for _ in range(int(4000 / dt))])
    assert noise.std() == pytest.approx(0.2, rel=0.1)
    lag = round(0.5 / dt)
    correlation = (noise[lag:] * noise[:-lag]).mean() / (noise**2).mean()
    assert correlation == pytest.approx(np.exp(-1.0), abs=0.05)


def test_after_a_while_the_expert_is_left_alone():
    config = CollectConfig(calm_after=(0.5, 0.5))
    disturbance = Disturbance(config, LIMITS, np.random.default_rng(0))
    command = np.array([0.5, 0.0, 0.1, 0.0])
    flown = [disturbance.apply(command, 0.1) for _ in range(8)]
    assert not np.array_equal(flown[0], command)
    assert np.array_equal(flown[-1], command)


def test_frame_rates_are_whole_physics_steps_between_the_bounds():
    rng = np.random.default_rng(0)
    timings = [draw_timing(CONFIG, rng) for _ in range(300)]
    assert {round(240.0 / timing.rate_hz, 9) for timing in timings} == set(map(float, range(6, 25)))
    drops = np.array([timing.drop_probability for timing in timings])
    assert 0.35 < (drops == 0.0).mean() < 0.65
    assert 0.5 < drops.max() <= 0.6


def test_the_learning_rate_rises_then_falls():
    rates = [learning_rate(step, 200, 1e-3) for step in range(200)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] < 2e-4
    assert rates[-1] == pytest.approx(1e-3 * LAST_RATE, rel=0.05)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_the_loss_counts_errors_in_limits_and_only_frames_that_weigh():
    limits = torch.tensor([2.0, 1.0, 1.0, 1.2])
    target = torch.zeros(1, 3, 4)
    command = torch.zeros(1, 3, 4)
    command[0, 1] = limits  # off by one limit in each component
    command[0, 2] = 100.0
    one = imitation_loss(command, target, limits, torch.tensor([[0.0, 1.0, 0.0]]), huber=0.1)
    half = imitation_loss(command, target, limits, torch.tensor([[1.0, 1.0, 0.0]]), huber=0.1)
    assert float(one) == pytest.approx(1.0 - 0.05)
    assert float(half) == pytest.approx(float(one) / 2.0)
    assert float(imitation_loss(command, target, limits, torch.zeros(1, 3), huber=0.1)) == 0.0

"""Gradient steps: alike in one process and in several, looked into, stopped before they spoil anything."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from navstack.episodes import Episode, EpisodeFacts, save_episode
from navstack.errors import InputError
from navstack.policies.imitation.card import ends_early
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.dataset import WindowDataset
from navstack.policies.imitation.learn import LOOK_EVERY, DivergenceError, Learner, _own_shares, _Trend
from navstack.policies.imitation.processes import Processes
from navstack.policies.network import NetworkSpec

CONFIG = TrainConfig(
    steps=(6,), dagger_episodes=(), expert_share=(), windows=4, frames=8, burn_in=2, threads=2, workers=1
)
LEARN = """
import json, sys
from pathlib import Path
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
from test_learn import CONFIG, data, learn
from navstack.policies.imitation.processes import Processes
processes = Processes("cpu")
reports = learn(replace(CONFIG, threads=4), Path(sys.argv[2]), processes)[1]
if processes.first:
    print(json.dumps([[report.loss, report.reader_loss, report.gradient_norm] for report in reports]))
"""


def data(folder, count=2):
    """Episodes whose command follows the brightness of what is seen."""
    rng = np.random.default_rng(0)
    for index in range(count):
        level = np.clip(np.cumsum(rng.normal(0.0, 12.0, 30)) + 128.0, 0.0, 255.0)
        image = np.broadcast_to(level[:, None, None, None], (30, 64, 96, 3)).astype(np.uint8)
        command = np.repeat((level[:, None] / 255.0 - 0.5), 4, axis=1).astype(np.float32)
        three = np.zeros((30, 3), np.float32)
        facts = EpisodeFacts("FlyToTarget", "meadow", 0, "success", "expert", 0, index)
        dt, yaw = np.full(30, 0.05, np.float32), np.zeros(30, np.float32)
        save_episode(folder, Episode(facts, image.copy(), dt, command, command, three, three, yaw))


def windows(config, folder):
    keys = [(0, 0), (0, 1)]
    return WindowDataset(folder, keys, config.frames, config.burn_in, config.augmentation)


def learn(config, folder, processes=None):
    learner, reports = Learner(config, NetworkSpec(), processes or Processes("cpu")), []
    learner.round(windows(config, folder), 0, 0, reports.append)
    return learner, reports


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("episodes")
    data(path)
    return path


def losses(folder, *launcher):
    """Losses and gradient norms that a program of its own finds."""
    program = folder / "learn.py"
    program.write_text(LEARN)
    here = os.path.dirname(__file__)  # noqa: PTH120 (for another process)
    done = subprocess.run(
        [sys.executable, *launcher, str(program), here, str(folder)],
        capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[["))))


def test_two_processes_learn_as_one_does(folder):
    _, reports = learn(replace(CONFIG, threads=4), folder)
    alone = np.array([[report.loss, report.reader_loss, report.gradient_norm] for report in reports])
    together = losses(folder, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert alone.shape == (6, 3)
    np.testing.assert_allclose(together, alone, rtol=1e-4)


class Several:
    """What a share of the work asks of its processes."""

    def __init__(self, rank, count, kind="cpu"):
        self.rank, self.count, self.device = rank, count, torch.device(kind)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_row_of_a_batch_is_learned_once_and_in_the_same_shares(count):
    config = replace(CONFIG, windows=12, threads=4)
    shares = [share for rank in range(count) for share in _own_shares(config, Several(rank, count))]
    assert sorted(row for share in shares for row in share) == list(range(12))
    assert set(shares) == set(_own_shares(config, Several(0, 1)))


def test_processes_without_work_are_refused():
    with pytest.raises(InputError, match=r"3 processes need a share .* --threads 3"):
        _own_shares(CONFIG, Several(0, 3))
    with pytest.raises(InputError, match="accelerator 'abacus'"):
        Processes("abacus")
    with pytest.raises(InputError, match=r"precision 'bf16'.* did you mean 'bf16-mixed'"):
        Processes("cpu", "bf16")


def test_a_loss_that_is_not_a_number_stops_before_the_step(folder):
    learner = Learner(CONFIG, NetworkSpec(), Processes("cpu"))
    with torch.no_grad():
        learner.imitator.reader.bias[0] = float("nan")
    before = {name: value.clone() for name, value in learner.imitator.state_dict().items()}
    with pytest.raises(DivergenceError, match=r"the loss is .* at step 0 of round 0"):
        learner.round(windows(CONFIG, folder), 0, 0, lambda _: None)
    for name, value in learner.imitator.state_dict().items():
        torch.testing.assert_close(value, before[name], equal_nan=True, rtol=0.0, atol=0.0)


def test_a_loss_that_grows_and_stays_is_divergence_and_one_that_wobbles_is_not():
    trend = _Trend()
    wobbling = [0.3, 0.2, 0.1, 0.15, 0.08, 0.12] * LOOK_EVERY
    assert not any(trend.add(loss, 1.0) for loss in wobbling)
    assert trend.healthy
    found = [trend.add(1.4, 1.0) for _ in range(2 * LOOK_EVERY)]
    assert not trend.healthy
    assert "has grown from" in next(filter(None, found))
    assert found.index(next(filter(None, found))) > 5


def test_the_gradient_is_looked_into_by_layer_and_by_time(folder):
    config = replace(CONFIG, steps=(LOOK_EVERY,), windows=2, threads=1)
    _, reports = learn(config, folder)
    assert not any(report.parts for report in reports[:-1])
    parts = reports[-1].parts
    assert {"gradient_layer/vision.pixels", "gradient_layer/core", "gradient_layer/reader"} <= set(parts)
    whole = np.sqrt(sum(v**2 for name, v in parts.items() if name.startswith("gradient_layer/")))
    assert whole == pytest.approx(reports[-1].gradient_norm, rel=1e-4)
    assert parts["gradient_back/00"] > parts["gradient_back/04"] > 0.0
    assert "gradient_back/08" not in parts  # a window has 8 frames


def test_the_numba_back_end_learns_nearly_the_same(folder):
    pytest.importorskip("numba")
    plain = learn(CONFIG, folder)[1]
    learner, fast = learn(replace(CONFIG, backend="numba"), folder)
    assert learner.network.core.backend == "numba"
    losses = [[report.loss for report in reports] for reports in (plain, fast)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    assert losses[0] != losses[1]  # the last digits say that another back end computed them


def test_mixed_precision_learns_nearly_the_same(folder):
    _, exact = learn(CONFIG, folder)
    _, mixed = learn(CONFIG, folder, Processes("cpu", "bf16-mixed"))
    assert [report.loss for report in mixed] != [report.loss for report in exact]
    np.testing.assert_allclose(
        [report.loss for report in mixed], [report.loss for report in exact], rtol=0.05
    )


def test_time_constants_to_begin_with_belong_to_the_seed():
    usual = Learner(CONFIG, NetworkSpec(), Processes("cpu")).network.core.bias
    once, again = (
        Learner(replace(CONFIG, memory=5.0), NetworkSpec(), Processes("cpu")).network.core.bias
        for _ in range(2)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, usual)


@pytest.mark.parametrize(
    ("rates", "patience", "ends"),
    [
        ([0.1], 1, False),
        ([0.5, 0.4], 1, True),
        ([0.5, 0.5], 1, True),
        ([0.5, 0.6], 1, False),
        ([0.6, 0.5, 0.4], 3, False),
        ([0.1, 0.6, 0.5, 0.6], 2, True),
    ],
)
def test_a_run_ends_when_it_gets_no_better(rates, patience, ends):
    assert ends_early(rates, patience) == ends

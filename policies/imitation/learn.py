"""Behaviour cloning: gradient steps on windows of episodes, restartable at any of them."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from navstack.errors import InputError
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.dataset import WindowDataset
from navstack.policies.imitation.streams import WEIGHTS, integer
from navstack.policies.network import NetworkSpec, PolicyNetwork, build_network

WARM_UP = 0.05  # share of a round's steps in which the learning rate rises
LAST_RATE = 0.02  # of the peak, at the end of a round


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one gradient step did."""

    round: int
    step: int  # gradient steps done in this round, this one included
    loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    frames: int


def learning_rate(step: int, steps: int, peak: float) -> float:
    """One cycle: a linear rise, then a half cosine down to LAST_RATE of the peak."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return peak * (step + 1) / rise
    fall = (step - rise) / max(1, steps - rise)
    return peak * (LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * fall)))


def imitation_loss(command: Tensor, target: Tensor, limits: Tensor, weight: Tensor, huber: float) -> Tensor:
    """Huber loss (of slope 1) of (B, T, 4) commands counted in limits, over frames of weight (B, T)."""
    loss = torch.nn.functional.smooth_l1_loss(command / limits, target / limits, beta=huber, reduction="none")
    return (loss.mean(-1) * weight).sum() / weight.sum().clamp(min=1.0)


class Imitator(nn.Module):
    """The network, and beside it a reader that is only there to learn by.

    The reader guesses the command from the features of a single frame. Its loss reaches the vision without a
    detour through the recurrent core, which at first lets little through, and so the target is found sooner.
    """

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        self.network = network
        self.reader = nn.Linear(network.vision.feature_size, COMMAND_SIZE)

    def forward(self, images: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, T, H, W, 3), dt (B, T) s to the network's commands and the reader's, (B, T, 4) each."""
        network = self.network
        features = network.vision.sequence(images)
        state = network.initial_state(len(dt)).to(dt.device)
        outputs, _ = network.core.sequence(features, state, network.periods(dt))
        return network.command(outputs), torch.tanh(self.reader(features)) * network.limits


def check_accelerator(name: str) -> Fabric:
    """Lightning Fabric on one device of this kind. Raises InputError where it is unknown or not there."""
    try:
        return Fabric(accelerator=name, devices=1)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"accelerator '{name}' cannot be used here: {error}") from error


class Learner:
    """A network and its optimiser on one device.

    On a CPU every thread prepares and learns its own share of a batch from end to end, and the shares'
    gradients are added in order. Operations this small gain little from being split among threads, and lose
    much to waiting where the machine is shared.
    """

    def __init__(self, config: TrainConfig, spec: NetworkSpec) -> None:
        """Draw fresh weights from the run's seed. Raises InputError for an unknown network or accelerator."""
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(integer(config.seed, WEIGHTS))
        self._fabric = check_accelerator(config.accelerator)
        self.config = config
        self.network: PolicyNetwork = build_network(spec)
        self.imitator = Imitator(self.network)
        optimizer = torch.optim.AdamW(
            self.imitator.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self._module, self.optimizer = self._fabric.setup(self.imitator, optimizer)
        self._parameters = list(self.imitator.parameters())
        shares = min(config.threads, config.windows) if self._fabric.device.type == "cpu" else 1
        self._shares = [range(config.windows)[share::shares] for share in range(shares)]

    def round(
        self, dataset: WindowDataset, round_: int, done: int, after_step: Callable[[StepReport], None]
    ) -> None:
        """Take the round's gradient steps from `done` on. Raises InputError when the loss is not finite."""
        config, steps = self.config, self.config.steps[round_]
        peak = config.later_rate if round_ else config.learning_rate
        self.imitator.train()
        with ThreadPoolExecutor(len(self._shares), initializer=_compute_alone) as threads:
            for step in range(done, steps):
                rate = learning_rate(step, steps, peak)
                share = functools.partial(self._share, dataset, round_, step)
                loss, norm = self._descend(list(threads.map(share, self._shares)), rate)
                if not math.isfinite(loss):
                    raise InputError(
                        f"the loss is {loss} at step {step} of round {round_}; lower the learning rate"
                        f" ({peak:g})"
                    )
                after_step(StepReport(round_, step + 1, loss, norm, rate, config.windows * config.frames))

    def _share(self, dataset: WindowDataset, round_: int, step: int, rows: range) -> Share:
        """Loss and gradients of some rows of a batch."""
        batch = dataset.batch(rows, self.config.seed, round_, step)
        image, dt, target, weight = self._fabric.to_device(
            tuple(torch.from_numpy(a) for a in (batch.image, batch.dt, batch.target, batch.weight))
        )
        command, glance = self._module(image, dt)
        limits, huber = self.network.limits, self.config.huber
        loss = imitation_loss(command, target, limits, weight, huber)
        beside = imitation_loss(glance, target, limits, weight, huber)
        gradients = torch.autograd.grad(loss + self.config.reader * beside, self._parameters)
        return Share(float(loss.detach()), gradients, len(rows) / self.config.windows)

    def _descend(self, shares: Sequence[Share], rate: float) -> tuple[float, float]:
        """One optimiser step along the shares' mean gradient. Returns loss and gradient norm."""
        for number, parameter in enumerate(self._parameters):
            parts = [share.gradients[number] * share.part for share in shares]
            # the fused optimiser walks memory, and gradients of convolutions may lie there as channels_last
            parameter.grad = functools.reduce(torch.add, parts).contiguous()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.clip)
        self.optimizer.step()
        return sum(share.loss * share.part for share in shares), float(norm)


@dataclass(frozen=True, slots=True)
class Share:
    """What one thread found out about its rows of a batch."""

    loss: float
    gradients: tuple[Tensor, ...]  # one a parameter
    part: float  # of the batch


def _compute_alone() -> None:
    torch.set_num_threads(1)  # of this thread's own operations
    cv2.setNumThreads(1)


class Throughput:
    """Frames a second over the wall time since the last question."""

    def __init__(self) -> None:
        self._since, self._frames = time.perf_counter(), 0

    def add(self, frames: int) -> None:
        """Count frames."""
        self._frames += frames

    def rate(self) -> float:
        """Frames a second, and begin anew."""
        now = time.perf_counter()
        rate = self._frames / max(now - self._since, 1e-9)
        self._since, self._frames = now, 0
        return rate


def mean(values: list[float]) -> float:
    """Mean of a non-empty list."""
    return float(np.mean(values))

"""Behaviour cloning: gradient steps on windows of episodes, restartable at any of them."""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from navstack.errors import InputError
from navstack.policies.cells.backends import use_backend
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.explain.reach import gradient_reach
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.dataset import WindowDataset
from navstack.policies.imitation.processes import Processes
from navstack.policies.imitation.streams import WEIGHTS, integer
from navstack.policies.memory import begin_with_time_constants
from navstack.policies.network import NetworkSpec, PolicyNetwork, build_network

WARM_UP = 0.05  # share of a round's steps in which the learning rate rises
LAST_RATE = 0.02  # of the peak, at the end of a round
LOOK_EVERY = 50  # gradient steps between two looks at the gradient's parts, and between rows of the log
BACK = (0, 1, 2, 4, 8, 16, 24)  # frames back from a window's last, whose gradients are looked at
DIVERGED = 5.0  # times the least loss of a round (means over LOOK_EVERY steps): it will not come back
HEALTHY = 2.0  # times the least loss: above it no checkpoint is written
LEAST = 0.03  # a loss counts as at least this: near zero a multiple means nothing


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one gradient step did."""

    round: int
    step: int  # gradient steps done in this round, this one included
    loss: float
    reader_loss: float
    gradient_norm: float  # before clipping
    learning_rate: float
    frames: int
    healthy: bool  # whether the loss is near the least that it was in this round
    parts: dict[str, float] = field(default_factory=dict)  # by layer and by time; every LOOK_EVERY steps


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
        """Images (B, T, H, W, 3), dt (B, T) s to the network's commands and the reader's, (B, T, 4) each.

        Where the precision is mixed, the convolutions alone are: the core's sums over time stay in float32.
        """
        network = self.network
        features = network.vision.sequence(images).float()
        with torch.autocast(features.device.type, enabled=False):
            state = network.initial_state(len(dt)).to(dt.device)
            outputs, _ = network.core.sequence(features, state, network.periods(dt))
            return network.command(outputs), torch.tanh(self.reader(features)) * network.limits


class DivergenceError(InputError):
    """The loss is not finite or has grown far beyond what it was."""


class Learner:
    """A network and its optimiser on the devices of all processes.

    On a CPU every thread prepares and learns its own share of a batch from end to end, and the shares'
    gradients are added in order. Operations this small gain little from being split among threads, and lose
    much to waiting where the machine is shared. Where several processes learn, the same shares are spread
    over them, so the result is the same up to the order of the sum.
    """

    def __init__(self, config: TrainConfig, spec: NetworkSpec, processes: Processes) -> None:
        """Draw weights from the run's seed.

        Raises InputError for an unknown network, a back end that cannot run it, or too few shares.
        """
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(integer(config.seed, WEIGHTS))
        self.config, self._processes = config, processes
        self.network: PolicyNetwork = build_network(spec)
        use_backend(self.network, config.backend)
        if config.memory > 0.0:
            random = torch.Generator().manual_seed(integer(config.seed, WEIGHTS, 1))
            begin_with_time_constants(self.network.core, config.memory * spec.rate_hz, random)
        self.imitator = Imitator(self.network).to(processes.device)
        self.optimizer = torch.optim.AdamW(
            self.imitator.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self._parameters = list(self.imitator.parameters())
        self._shares = _own_shares(config, processes)

    def round(
        self, dataset: WindowDataset, round_: int, done: int, after_step: Callable[[StepReport], None]
    ) -> None:
        """Take the round's gradient steps from `done` on.

        Raises DivergenceError before the step that would spoil the weights: they are then the last good ones.
        """
        config, steps = self.config, self.config.steps[round_]
        peak = config.later_rate if round_ else config.learning_rate
        trend = _Trend()
        self.imitator.train()
        with ThreadPoolExecutor(len(self._shares), initializer=_compute_alone) as threads:
            for step in range(done, steps):
                rate = learning_rate(step, steps, peak)
                share = functools.partial(self._share, dataset, round_, step)
                loss, beside = self._gather(list(threads.map(share, self._shares)))
                look = (step + 1) % LOOK_EVERY == 0 and self._processes.first
                parts = self._look(dataset, round_, step) if look else {}
                norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, config.clip))
                cause = trend.add(loss, norm)
                if cause:
                    raise DivergenceError(
                        f"{cause} at step {step} of round {round_}, learning rate {rate:.2g}"
                    )
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self.optimizer.step()
                frames = config.windows * config.frames
                after_step(
                    StepReport(round_, step + 1, loss, beside, norm, rate, frames, trend.healthy, parts)
                )

    def _share(self, dataset: WindowDataset, round_: int, step: int, rows: range) -> Share:
        """Loss and gradients of some rows of a batch."""
        image, dt, target, weight = self._batch(dataset, round_, step, rows)
        with self._processes.autocast():
            command, glance = self.imitator(image, dt)
        limits, huber = self.network.limits, self.config.huber
        loss = imitation_loss(command, target, limits, weight, huber)
        beside = imitation_loss(glance, target, limits, weight, huber)
        gradients = torch.autograd.grad(loss + self.config.reader * beside, self._parameters)
        losses = float(loss.detach()), float(beside.detach())
        return Share(*losses, gradients, len(rows) / self.config.windows)

    def _batch(
        self, dataset: WindowDataset, round_: int, step: int, rows: range
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        batch = dataset.batch(rows, self.config.seed, round_, step)
        image, dt, target, weight = (
            torch.from_numpy(array).to(self._processes.device)
            for array in (batch.image, batch.dt, batch.target, batch.weight)
        )
        return image, dt, target, weight

    def _gather(self, shares: Sequence[Share]) -> tuple[float, float]:
        """Set every parameter's gradient to the mean over all shares. Returns the losses' means."""
        for number, parameter in enumerate(self._parameters):
            parts = [share.gradients[number] * share.part for share in shares]
            # the fused optimiser walks memory, and gradients of convolutions may lie there as channels_last
            parameter.grad = functools.reduce(torch.add, parts).contiguous()
        loss = sum(share.loss * share.part for share in shares)
        beside = sum(share.reader_loss * share.part for share in shares)
        if self._processes.count == 1:
            return loss, beside
        gradients = [parameter.grad.flatten() for parameter in self._parameters if parameter.grad is not None]
        losses = torch.tensor([loss, beside], dtype=gradients[0].dtype, device=gradients[0].device)
        summed = self._processes.sum(torch.cat([*gradients, losses]))
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter, part in zip(self._parameters, summed[:-2].split(sizes), strict=True):
            parameter.grad = part.view_as(parameter).contiguous()
        return float(summed[-2]), float(summed[-1])

    def _look(self, dataset: WindowDataset, round_: int, step: int) -> dict[str, float]:
        """Gradient norms by layer, and of a window's last command by its features some frames back."""
        squares: dict[str, float] = {}
        for name, parameter in self.imitator.named_parameters():
            assert parameter.grad is not None
            layer = name.removeprefix("network.").rpartition(".")[0] or "network"
            squares[layer] = squares.get(layer, 0.0) + float(parameter.grad.square().sum())
        parts = {f"gradient_layer/{layer}": math.sqrt(square) for layer, square in squares.items()}
        image, dt, _, _ = self._batch(dataset, round_, step, self._shares[0])
        network = self.network
        with torch.no_grad():
            features = network.vision.sequence(image)
        reach = gradient_reach(network.core, features, network.periods(dt))
        back = [frames for frames in BACK if frames < len(reach.norm)]
        return parts | {f"gradient_back/{frames:02d}": float(reach.norm[frames]) for frames in back}


def _own_shares(config: TrainConfig, processes: Processes) -> list[range]:
    """The rows of a batch that each thread of this process learns."""
    count = processes.count
    shares = min(config.threads, config.windows) if processes.device.type == "cpu" else count
    if shares < count:
        raise InputError(
            f"{count} processes need a share of the batch each: give --threads {count} or more (it counts"
            f" over all processes), with at least {count} windows a batch; found {config.threads} threads"
            f" and {config.windows} windows"
        )
    return [range(config.windows)[share::shares] for share in range(shares)][processes.rank :: count]


@dataclass(frozen=True, slots=True)
class Share:
    """What one thread found out about its rows of a batch."""

    loss: float
    reader_loss: float
    gradients: tuple[Tensor, ...]  # one a parameter
    part: float  # of the batch


class _Trend:
    """Whether a loss still goes where it should: means over LOOK_EVERY steps against the least of them."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=LOOK_EVERY)
        self._least = math.inf
        self.healthy = True

    def add(self, loss: float, norm: float) -> str | None:
        """Take note of a step's loss and gradient norm. Returns what is wrong, in words, or None."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return f"the loss is {loss:g} and its gradient's norm {norm:g}"
        self._recent.append(loss)
        if len(self._recent) < LOOK_EVERY:
            return None
        mean_loss = max(mean(list(self._recent)), LEAST)
        self._least = min(self._least, mean_loss)
        self.healthy = mean_loss <= HEALTHY * self._least
        if mean_loss > DIVERGED * self._least:
            return f"the loss has grown from {self._least:.3g} to {mean_loss:.3g}"
        return None


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

"""Memory over many frames: time constants to begin with, and a task that shows who has it.

The gradient of a CfC fades fast with the distance in time: nothing in its equation carries a neuron's state
over to the next step but the weights of its two targets. Drawn as usual, these shrink it at every step. Yet
the same equation holds a leaky integrator of any time constant, so that is where a network can begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from navstack.errors import InputError
from navstack.policies.cells.cell import Core
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cells.wavefront import FF1, TIME_A, TIME_B

CLASSES = 4  # what is to be recalled; one motor neuron each
CUE = 5  # steps that the cue is shown
CHANNELS = CLASSES + 2  # the cue, a distraction, and the signal to answer


def begin_with_time_constants(core: nn.Module, longest: float, random: torch.Generator) -> None:
    """Make every neuron of a wired CfC but the motor neurons a leaky integrator, in place.

    With the own state as first target (weight 1 from itself, none from others) and the gate at
    1 - exp(-dt / tau) a step is x(t + dt) = tanh(x(t)) exp(-dt / tau) + tanh(ff2) (1 - exp(-dt / tau)): of
    what was, a share exp(-dt / tau) stays. Value and slope of the gate's logit in dt are met at one nominal
    period. The time constants are drawn log-uniformly from 1 to `longest` nominal periods, after Tallec and
    Ollivier 2018 ("Can recurrent neural networks warp time?", section 2.2), who do so for the gates of an
    LSTM. All is learned from there on. The motor neurons keep their usual weights: commands must not lag.

    Raises InputError for another core, or a longest time constant that is not over 1 period.
    """
    if not isinstance(core, WiredCfC) or core.mode != "default":
        raise InputError(
            "time constants to begin with are there for a wired CfC of mode 'default' only: choose the"
            " network cfc-strict or cfc-ncps, or leave --memory out"
        )
    if not longest > 1.0:
        raise InputError(f"the longest memory must be over one frame period, not {longest:g} periods")
    lasting = core.neurons - core.output_size
    tau = longest ** torch.rand(lasting, generator=random)
    share = -torch.expm1(-1.0 / tau)  # of the new, after one period
    slope = (torch.exp(-1.0 / tau) / tau) / (share * (1.0 - share))  # of the gate's logit in dt
    with torch.no_grad():
        head, neuron, source = _places(core)
        from_others = (head == FF1) & (neuron < lasting)
        itself = from_others & (source == core.input_size + neuron)
        core.weight[from_others] = 0.0
        core.weight[itself] = 1.0
        core.bias[FF1, :lasting] = 0.0
        core.bias[TIME_A, :lasting] = slope.to(core.bias.dtype)
        core.bias[TIME_B, :lasting] = (torch.logit(share) - slope).to(core.bias.dtype)


def _places(core: WiredCfC) -> tuple[Tensor, Tensor, Tensor]:
    """Head, neuron and source of every weight of a wired CfC."""
    sources = core.input_size + core.neurons
    place = core.positions
    return (
        place.div(sources * core.neurons, rounding_mode="floor"),
        place.div(sources, rounding_mode="floor") % core.neurons,
        place % sources,
    )


@dataclass(frozen=True, slots=True)
class Recall:
    """Sequences of the delayed recall task."""

    x: Tensor  # (B, T, I) features
    dt: Tensor  # (B, T) nominal periods
    answer: Tensor  # (B,) class


class DelayedRecall:
    """One of four cues is shown at first; after a delay full of distraction comes the question which.

    Time is irregular: every interval is drawn from a third to three nominal periods. The channels are mixed
    into as many features as a policy's vision gives, by a matrix that is fixed by the task's seed.
    """

    def __init__(self, delay: int, features: int = 48, seed: int = 0) -> None:
        self.delay, self.features = delay, features
        random = torch.Generator().manual_seed(seed)
        self._mixing = torch.randn(CHANNELS, features, generator=random) / math.sqrt(CHANNELS)

    def draw(self, batch: int, random: torch.Generator) -> Recall:
        """Some sequences of cue, delay and question."""
        steps = CUE + self.delay + 1
        answer = torch.randint(CLASSES, (batch,), generator=random)
        channels = torch.zeros(batch, steps, CHANNELS)
        channels[:, :CUE, :CLASSES] = 2.0 * functional.one_hot(answer, CLASSES)[:, None].float()
        channels[:, :, CLASSES] = torch.randn(batch, steps, generator=random)
        channels[:, -1, CLASSES + 1] = 2.0
        dt = 3.0 ** (2.0 * torch.rand(batch, steps, generator=random) - 1.0)
        return Recall(channels @ self._mixing, dt, answer)


class Answering(nn.Module):
    """A core whose motor neurons at the last step say which cue it was."""

    core: Core

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core  # type: ignore[assignment]
        self.gain = nn.Parameter(torch.full((CLASSES,), 2.0))

    def forward(self, task: Recall) -> Tensor:
        """Logits (B, 4)."""
        outputs, _ = self.core.sequence(task.x, self.core.initial_state(len(task.x)), task.dt)
        logits: Tensor = outputs[:, -1] * self.gain
        return logits


def learn_recall(
    core: nn.Module, task: DelayedRecall, steps: int, batch: int, rate: float, seed: int
) -> Answering:
    """Train a core on the task by Adam with a clipped gradient and a falling rate."""
    random = torch.Generator().manual_seed(seed)
    model = Answering(core)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 20.0) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        drawn = task.draw(batch, random)
        loss = functional.cross_entropy(model(drawn), drawn.answer)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def recalled(model: Answering, task: DelayedRecall, count: int, seed: int) -> int:
    """How many of `count` fresh sequences are answered rightly."""
    random, right = torch.Generator().manual_seed(seed), 0
    with torch.no_grad():
        for start in range(0, count, 64):
            drawn = task.draw(min(64, count - start), random)
            right += int((model(drawn).argmax(dim=1) == drawn.answer).sum())
    return right

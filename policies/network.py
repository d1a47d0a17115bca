"""`PolicyNetwork`: vision, a recurrent core, and the scaling between them and the vehicle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from navstack.contract import CameraSpec, Limits
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.cores import build_core, check_core
from navstack.policies.variants import Variant, build_variant
from navstack.policies.vision import Vision


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything that decides a network's shape and scaling, but not its weights."""

    preset: str = "cfc-strict"
    camera: CameraSpec = CameraSpec()
    limits: Limits = Limits()
    rate_hz: float = 20.0
    dt_min: float = 1.0 / 60.0  # s
    dt_max: float = 0.3  # s
    variant: Variant | None = None  # where the core has another size than its preset
    vision: Callable[[int, int], Vision] = Vision  # made for pictures of (height, width)


class PolicyNetwork(nn.Module):
    """Image and time to command.

    `dt` is clamped to [dt_min, dt_max] and counted in nominal periods before the core sees it: in raw seconds
    the time heads of a CfC would hardly move.
    """

    limits: Tensor  # (4,) m/s, m/s, m/s, rad/s

    def __init__(
        self, vision: Vision, core: nn.Module, limits: Limits, rate_hz: float, dt_min: float, dt_max: float
    ) -> None:
        super().__init__()
        self.vision = vision
        self.core: Any = core  # a `cells.cell.Core`
        self.rate_hz, self.dt_min, self.dt_max = rate_hz, dt_min, dt_max
        # motor neurons stay within (-1, 1): the gain lets the command reach its limits all the same
        self.gain = nn.Parameter(torch.full((COMMAND_SIZE,), 2.0))
        self.bias = nn.Parameter(torch.zeros(COMMAND_SIZE))
        self.register_buffer("limits", torch.from_numpy(limits.as_array()), persistent=False)

    @property
    def state_size(self) -> int:
        """Size S of the recurrent state."""
        return int(self.core.state_size)

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, S) float32 zeros."""
        return torch.zeros(batch, self.state_size)

    def step(self, image: Tensor, dt: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One frame.

        Args:
            image: (N, H, W, 3) uint8 RGB.
            dt: (N, 1) float32, seconds since the frame before.
            state: (N, S) float32.

        Returns:
            command (N, 4) in m/s and rad/s inside the limits, and the next state (N, S).
        """
        output, next_state = self.core.step(self.vision(image), state, self.periods(dt))
        return self.command(output), next_state

    def sequence(self, images: Tensor, dt: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, T, H, W, 3) uint8, dt (B, T) s, state (B, S) to commands (B, T, 4) and last state."""
        features = self.vision.sequence(images)
        outputs, state = self.core.sequence(features, state, self.periods(dt))
        return self.command(outputs), state

    def forward(self, images: Tensor, dt: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`sequence`: what training calls, through Fabric's wrapper."""
        return self.sequence(images, dt, state)

    def periods(self, dt: Tensor) -> Tensor:
        """Seconds to nominal periods, clamped to the trained range."""
        return dt.clamp(self.dt_min, self.dt_max) * self.rate_hz

    def command(self, output: Tensor) -> Tensor:
        """Motor neurons (..., 4) to a command inside the limits."""
        return torch.tanh(output * self.gain + self.bias) * self.limits


def check_network(name: str) -> None:
    """Raise InputError, with the nearest name, unless this is a network or the path of a wiring file."""
    check_core(name)


def build_network(spec: NetworkSpec) -> PolicyNetwork:
    """A network with fresh weights drawn from torch's generator. Raises InputError for an unknown preset."""
    vision = spec.vision(spec.camera.height, spec.camera.width)
    size = vision.feature_size
    core = build_variant(spec.preset, size, spec.variant) if spec.variant else build_core(spec.preset, size)
    return PolicyNetwork(vision, core, spec.limits, spec.rate_hz, spec.dt_min, spec.dt_max)

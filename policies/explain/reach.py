"""How far a gradient reaches back in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

GONE = 1e-3  # of the norm at distance 0: what a gradient step no longer feels


@dataclass(frozen=True, slots=True)
class Reach:
    """Gradient norms of one network."""

    norm: npt.NDArray[np.float64]  # (T,) at distance 0, 1, ... frames

    @property
    def frames(self) -> int:
        """The distance in frames from which on the norm stays under GONE of that at distance 0."""
        above = np.flatnonzero(self.norm >= GONE * self.norm[0])
        return int(above[-1]) + 1 if len(above) else 0


def gradient_reach(core: nn.Module, x: Tensor, dt: Tensor) -> Reach:
    """Root mean square over sequences of the Frobenius norm of d output(T) / d input(T - k), k = 0, 1, ...

    Args:
        core: of a policy network (`policies.network.Core`).
        x: (B, T, I) features.
        dt: (B, T) nominal periods.
    """
    x = x.detach().requires_grad_()
    outputs, _ = core.sequence(x, core.initial_state(len(x)), dt)  # type: ignore[operator]
    squares = x.new_zeros(x.shape[1])
    for part in range(outputs.shape[2]):
        (gradient,) = torch.autograd.grad(outputs[:, -1, part].sum(), x, retain_graph=True)
        squares += gradient.square().sum(dim=2).mean(dim=0)
    return Reach(squares.sqrt().flip(0).to("cpu", torch.float64).numpy())

"""How far gradients reach back in time: the norm of d output / d input against the distance between them."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from navstack.policies.explain.figures import COLORS, STYLE, png
from navstack.policies.explain.reach import GONE, Reach

FLOOR = 1e-12  # of the figure


def random_features(batch: int, steps: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Unit normal features (B, T, I) and dt (B, T) of one nominal period."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(batch, steps, size, generator=random), torch.ones(batch, steps)


def reach_figure(reaches: Mapping[str, Reach], rate_hz: float, title: str) -> bytes:
    """All networks' norms, relative to their own at distance 0, as a PNG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 6.2), layout="constrained")
        axes = figure.subplots()
        for number, (name, reach) in enumerate(sorted(reaches.items(), key=_longest_first)):
            color, line = COLORS[number % len(COLORS)], ("-", "--", ":")[number // len(COLORS) % 3]
            relative = np.maximum(reach.norm / reach.norm[0], 1e-30)
            seconds = np.arange(len(relative)) / rate_hz
            axes.semilogy(seconds, relative, line, color=color, label=name)
        axes.axhline(GONE, color="#999999", linewidth=1.0, linestyle=":")
        axes.set_ylim(FLOOR / 3.0, 30.0)
        axes.set_xlim(0.0, (max(len(reach.norm) for reach in reaches.values()) - 1) / rate_hz)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
        axes.set_xlabel(f"distance in time (s, at {rate_hz:g} frames a second)")
        axes.set_ylabel("gradient norm, 1 at distance 0")
        axes.set_title(title)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10)
        return png(figure)


def _longest_first(entry: tuple[str, Reach]) -> tuple[int, float]:
    norm = entry[1].norm
    return -entry[1].frames, -float(norm[-1] / norm[0])

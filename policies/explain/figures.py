"""The still figures: neurons over time, the attention's steadiness under noise, gradients over time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from navstack.contract import Limits
from navstack.policies.explain.activity import TimeConstants
from navstack.policies.explain.replay import Replay

DPI = 150
COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#555555", "#8c6d31", "#7b4173", "#1b9e77",
)  # fmt: skip
"""Told apart by the colour-blind too (Wong 2011, "Points of view: Color blindness"), then some more."""
EXCITES, INHIBITS = "#0072b2", "#d55e00"  # synapses; told apart by the colour-blind too
COMMANDS = ("forward", "left", "up", "turn left")

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "grid.color": "#e6e6e6",
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "text.parse_math": False,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """Neurons that stand together in the state."""

    name: str
    neurons: int


def neurons_figure(
    replay: Replay, constants: TimeConstants, layers: Sequence[Layer], limits: Limits
) -> bytes:
    """Commands, every neuron's state and every neuron's time constant over a flight, as a PNG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12.8, 8.4), layout="constrained")
        top, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=(1.1, 2, 2))
        _commands(top, replay, limits)
        extent = (0.0, float(replay.time[-1]), replay.next_state.shape[1], 0.0)
        largest = float(np.abs(replay.next_state).max()) or 1.0
        image = middle.imshow(
            replay.next_state.T, aspect="auto", interpolation="nearest", cmap="RdBu_r",
            vmin=-largest, vmax=largest, extent=extent,
        )  # fmt: skip
        _layers(middle, layers)
        middle.set_title("Activity of every neuron")
        figure.colorbar(image, ax=middle, label="state", pad=0.01)
        seconds = np.clip(constants.seconds, 1e-2, 1e2)
        image = below.imshow(
            seconds.T, aspect="auto", interpolation="nearest", cmap="viridis",
            norm=LogNorm(float(seconds.min()), max(float(seconds.max()), 2.0 * float(seconds.min()))),
            extent=extent,
        )  # fmt: skip
        _layers(below, layers)
        below.set_title(f"Time constant of every neuron: {constants.meaning}")
        below.set_xlabel("time of flight (s)")
        figure.colorbar(image, ax=below, label="s", pad=0.01, format=lambda value, _: f"{value:g}")
        return png(figure)


def _commands(axes: Axes, replay: Replay, limits: Limits) -> None:
    values = replay.command / limits.as_array()
    for column, (name, color) in enumerate(zip(COMMANDS, COLORS, strict=False)):
        dashes = "--" if column == 3 else "-"  # often the same as left: both are to be seen
        axes.plot(replay.time, values[:, column], dashes, color=color, label=name)
    axes.set_ylim(-1.05, 1.05)
    axes.set_title("Commands, in limits")
    axes.legend(ncols=4, loc="lower right", fontsize=9)


def _layers(axes: Axes, layers: Sequence[Layer]) -> None:
    """Name the layers at the left, with a line between them."""
    ends = [0, *accumulate(layer.neurons for layer in layers)]
    for begin in ends[1:-1]:
        axes.axhline(begin, color="black", linewidth=1.5)
    axes.set_yticks(
        [(begin + end) / 2.0 for begin, end in pairwise(ends)],
        [f"{layer.name} ({layer.neurons})" for layer in layers],
    )
    axes.grid(visible=False)


def commands_strip(replay: Replay, limits: Limits, width: int, height: int) -> tuple[npt.NDArray[Any], Any]:
    """Commands over time as pixels (height, width, 3) uint8, and the column of each frame's time: (T,)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / 100, height / 100), dpi=100)
        axes = figure.add_axes((0.06, 0.2, 0.925, 0.66))
        _commands(axes, replay, limits)
        axes.set_xlim(0.0, max(float(replay.time[-1]), 1e-3))
        axes.set_xlabel("s", loc="right", labelpad=-8)
        pixels = pixels_of(figure)
        places = axes.transData.transform(np.stack([replay.time, np.zeros_like(replay.time)], axis=1))
        return pixels, np.clip(np.rint(places[:, 0]), 0, width - 1).astype(int)


def steadiness_figure(
    deviations: Sequence[float],
    scores: Mapping[str, npt.NDArray[np.float64]],
    samples: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]],
) -> bytes:
    """SSIM of each method's maps (name to (D, T)) under noise, over one frame's picture and map, as a PNG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12.8, 7.2), layout="constrained")
        grid = GridSpec(2, 1, figure, height_ratios=(1, 1.5))
        upper, lower = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
        rows = upper.subplots(2, len(deviations))
        for column, ((image, attention), deviation) in enumerate(zip(samples, deviations, strict=True)):
            rows[0, column].imshow(image)
            rows[1, column].imshow(attention, cmap="inferno", vmin=0.0, vmax=1.0)
            rows[0, column].set_title(f"noise {deviation:g}", fontsize=10, loc="center")
            for axes in rows[:, column]:
                axes.set_axis_off()
        axes = lower.subplots()
        for (name, values), color in zip(scores.items(), COLORS, strict=False):
            low, high = np.percentile(values, (10, 90), axis=1)
            axes.plot(deviations, values.mean(axis=1), "-o", color=color, label=name)
            axes.fill_between(deviations, low, high, color=color, alpha=0.15, linewidth=0)
        axes.set_ylim(0.0, 1.02)
        axes.set_xlabel("standard deviation of the image noise (grey levels of 255)")
        axes.set_ylabel("SSIM with the map without noise")
        frames = next(iter(scores.values())).shape[1]
        axes.set_title(f"Is the attention steady? Mean over {frames} frames; band: 10th to 90th percentile")
        axes.legend(loc="lower left")
        return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def pixels_of(figure: Figure) -> npt.NDArray[np.uint8]:
    """The figure as pixels (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()

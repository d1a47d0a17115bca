"""A wiring as a picture: sensory, inter, command and motor neurons from left to right.

Excitatory synapses end in an arrow head, inhibitory ones in a bar, as in drawings of circuits in biology.
Synapses within a layer are arcs beside it. A wiring of one layer is a ring between inputs and motor neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from navstack.policies.explain.figures import COMMANDS, EXCITES, INHIBITS, STYLE, png
from navstack.policies.wiring import LAYER_NAMES, Wiring

LAYER_COLORS = {"sensory": "#999999", "inter": "#56b4e9", "command": "#e69f00", "motor": "#009e73"}
POINTS = 40  # of a line
HEIGHT = 1.0
ASPECT = 1.7  # of a unit upwards, to one sideways, on paper
GAP = 0.03  # units sideways that a line ends before its neuron's middle

Positions = NDArray[np.float64]  # (n, 2)


def wiring_picture(wiring: Wiring, note: str = "") -> bytes:
    """The wiring as a PNG; `note` is a line below the counts."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12.8, 8.0), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        inputs, neurons, kinds = _places(wiring)
        layer = np.repeat(np.arange(len(wiring.layers)), wiring.layers)
        outside, layered = np.full(wiring.inputs, -1), len(wiring.layers) > 1
        _synapses(axes, wiring.sensory, inputs, neurons, (outside, layer) if layered else None)
        _synapses(axes, wiring.internal, neurons, neurons, (layer, layer) if layered else None)
        _neurons(axes, inputs, ["sensory"] * len(inputs))
        _neurons(axes, neurons, kinds)
        _motor_names(axes, wiring, neurons)
        _legend(axes, kinds)
        excites = int((wiring.sensory > 0).sum() + (wiring.internal > 0).sum())
        axes.set_title(
            f"{wiring.name}\n{wiring.inputs} sensory inputs, {wiring.neurons} neurons;"
            f" {wiring.synapses} synapses: {excites} excitatory, {wiring.synapses - excites} inhibitory"
            + (f"\n{note}" if note else "")
        )
        return png(figure)


def _places(wiring: Wiring) -> tuple[Positions, Positions, list[str]]:
    """Where inputs and neurons stand, and each neuron's kind."""
    inputs = _column(0.0, wiring.inputs)
    if len(wiring.layers) == 1:
        hidden = wiring.neurons - wiring.outputs
        angle = np.linspace(0.0, 2.0 * np.pi, max(hidden, 1), endpoint=False)
        ring = np.stack([1.0 + 0.5 * np.cos(angle), 0.5 * HEIGHT * (1.0 + 0.95 * np.sin(angle))], axis=1)[
            :hidden
        ]
        neurons = np.concatenate([ring, _column(2.0, wiring.outputs)])
        return inputs, neurons, ["inter"] * hidden + ["motor"] * wiring.outputs
    columns = [_column(1.0 + number, size) for number, size in enumerate(wiring.layers)]
    names = _layer_names(len(wiring.layers))
    kinds = [name for name, size in zip(names, wiring.layers, strict=True) for _ in range(size)]
    kinds[wiring.neurons - wiring.outputs :] = ["motor"] * wiring.outputs
    return inputs, np.concatenate(columns), kinds


def _layer_names(count: int) -> Sequence[str]:
    """inter, command (as many as there are) and motor."""
    return (LAYER_NAMES[0], *[LAYER_NAMES[1]] * (count - 2), LAYER_NAMES[2])


def _column(x: float, count: int) -> Positions:
    """Neurons below one another, few of them close to the middle."""
    reach = HEIGHT * min(1.0, 0.12 * count)
    y = 0.5 * HEIGHT + np.linspace(0.5, -0.5, count) * reach if count > 1 else np.array([0.5 * HEIGHT])
    return np.stack([np.full(count, x), y], axis=1)


def _synapses(
    axes: Axes, matrix: NDArray[np.int8], sources: Positions, targets: Positions, layer: Any
) -> None:
    """Lines from sources to targets, each with its end; arcs where both stand in the same layer."""
    total = int(np.count_nonzero(matrix))
    alpha = float(np.clip(30.0 / max(total, 1) ** 0.7, 0.1, 0.8))
    size = float(np.clip(0.012 * (300.0 / max(total, 1)) ** 0.5, 0.003, 0.012))
    for polarity, color in ((1, EXCITES), (-1, INHIBITS)):
        pairs = np.argwhere(matrix == polarity)
        if not len(pairs):
            continue
        lines = np.stack([_line(sources[a], targets[b], _shape(layer, a, b)) for a, b in pairs])
        axes.add_collection(LineCollection(list(lines), colors=color, linewidths=0.7, alpha=alpha))
        ends = _ends(lines, size, polarity)
        if polarity > 0:
            axes.add_collection(PolyCollection(list(ends), facecolors=color, alpha=min(1.0, 2.0 * alpha)))
        else:
            axes.add_collection(LineCollection(list(ends), colors=color, alpha=min(1.0, 2.0 * alpha)))


def _shape(layer: Any, a: int, b: int) -> str:
    if layer is None:
        return "straight"
    return "arc" if layer[0][a] == layer[1][b] else "level"


def _line(start: Positions, end: Positions, shape: str) -> Positions:
    """Points (POINTS, 2) from start to just before the end; level lines leave and arrive level."""
    t = np.linspace(0.0, 1.0, POINTS)[:, None]
    if shape == "straight":
        line = start + t * (end - start)
    else:
        half = 0.5 * (end[0] - start[0])
        out, rise = (0.12 + 0.35 * abs(end[1] - start[1]), 0.03) if shape == "arc" else (half, 0.0)
        back = out if shape == "arc" else -half
        b, c = start + (out, rise), end + (back, -rise)
        line = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * end
    left = np.hypot(*((line - end) * (1.0, ASPECT)).T)  # a neuron's disc is left free
    return line if (left < GAP).all() else line[np.minimum(np.arange(POINTS), np.flatnonzero(left > GAP)[-1])]


def _ends(lines: Positions, size: float, polarity: int) -> Positions:
    """Arrow heads (n, 3, 2) or bars (n, 2, 2) at the lines' ends, in their directions."""
    tip = lines[:, -1]
    moving = (lines != tip[:, None]).any(axis=2)
    before = lines[np.arange(len(lines)), np.where(moving, np.arange(POINTS), 0).max(axis=1)]
    way = (tip - before) * (1.0, ASPECT)
    way /= np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    across = np.stack([-way[:, 1], way[:, 0]], axis=1)
    scale = np.array([1.0, 1.0 / ASPECT])
    if polarity > 0:
        back = -2.5 * size * way
        return np.stack(
            [tip, tip + (back + size * across) * scale, tip + (back - size * across) * scale], axis=1
        )
    return np.stack([tip + 1.3 * size * across * scale, tip - 1.3 * size * across * scale], axis=1)


def _neurons(axes: Axes, places: Positions, kinds: Sequence[str]) -> None:
    size = [float(np.clip(2400.0 / kinds.count(kind), 12.0, 160.0)) for kind in kinds]
    colors = [LAYER_COLORS[kind] for kind in kinds]
    shape = "s" if kinds and kinds[0] == "sensory" else "o"
    axes.scatter(
        places[:, 0], places[:, 1], size, colors, marker=shape, edgecolors="black", linewidths=0.6, zorder=3
    )


def _motor_names(axes: Axes, wiring: Wiring, neurons: Positions) -> None:
    if wiring.outputs != len(COMMANDS):
        return
    for (x, y), name in zip(neurons[-wiring.outputs :], COMMANDS, strict=True):
        axes.annotate(name, (x, y), (14, 0), textcoords="offset points", va="center")


def _legend(axes: Axes, kinds: Sequence[str]) -> None:
    counts = {kind: kinds.count(kind) for kind in LAYER_COLORS if kind in kinds}
    handles = [Line2D([], [], marker="s", linestyle="", color=LAYER_COLORS["sensory"], label="sensory input")]
    handles += [
        Line2D([], [], marker="o", linestyle="", color=LAYER_COLORS[kind], label=f"{kind} ({count})")
        for kind, count in counts.items()
    ]
    handles += [
        Line2D([], [], marker=">", color=EXCITES, label="excitatory"),
        Line2D([], [], marker="|", color=INHIBITS, label="inhibitory"),
    ]
    axes.legend(handles=handles, ncols=len(handles), loc="lower center", bbox_to_anchor=(0.5, -0.06))

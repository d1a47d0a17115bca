"""The wiring of a policy with the activity drawn on it: sensory inputs, inter, command and motor neurons.

Command neurons, the only ones with synapses among each other, stand on a ring. A synapse is blue where it
excites and orange where it inhibits (the polarity that the wiring was drawn with: training may have turned
the sign of a weight); it shows as strongly as the neuron that it comes from is active.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from navstack.contract import Image
from navstack.policies.explain.figures import COMMANDS, EXCITES, INHIBITS, STYLE, pixels_of, png
from navstack.policies.explain.replay import Replay
from navstack.policies.wiring import Wiring

SIZE = (1280, 720)  # pixels of the film, width and height
FPS = 20.0
COLUMN = 30  # neurons of a layer that stand over one another; a larger layer has several columns
CENTERS = (0.06, 0.36, 0.68, 0.93)  # of sensory inputs, inter, command and motor neurons, from 0 to 1
INSET = 3  # how many times the camera's frame is enlarged

Places = npt.NDArray[np.float64]  # (n, 2) from 0 to 1, right and up


def places(wiring: Wiring) -> tuple[Places, Places]:
    """Where the sensory inputs and the neurons stand: (inputs, 2) and (neurons, 2)."""
    centers = CENTERS[1:] if len(wiring.layers) == 3 else np.linspace(0.4, CENTERS[-1], len(wiring.layers))
    found = []
    for number, (center, size) in enumerate(zip(centers, wiring.layers, strict=True)):
        inside = wiring.internal[wiring.layer_slices()[number], wiring.layer_slices()[number]]
        found.append(_ring(size, center) if inside.any() and size > 4 else _columns(size, center))
    return _columns(wiring.inputs, CENTERS[0]), np.concatenate(found)


def _columns(size: int, center: float) -> Places:
    count = -(-size // COLUMN)
    column, row = np.divmod(np.arange(size), -(-size // count))
    rows = np.bincount(column)[column]
    x = center + 0.045 * (column - (count - 1) / 2.0)
    shift = 0.5 * (column % 2) if count > 1 else 0.0
    height = 0.86 if size > 8 else 0.44
    y = 0.5 + height * ((rows - 1) / 2.0 - row - shift) / max(1.0, rows.max() - 0.5)
    return np.stack([x, y], axis=1)


def _ring(size: int, center: float) -> Places:
    angle = 2.0 * np.pi * np.arange(size) / size
    return np.stack([center + 0.1 * np.cos(angle), 0.5 + 0.4 * np.sin(angle)], axis=1)


def synapses(wiring: Wiring) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.int8]]:
    """Source (inputs first, then neurons), neuron and polarity of every synapse."""
    together = np.concatenate([wiring.sensory, wiring.internal])
    source, target = np.nonzero(together)
    return source, target, together[source, target]


def circuit_figure(wiring: Wiring, states: Sequence[npt.NDArray[np.float32]], titles: Sequence[str]) -> bytes:
    """The circuit at some moments of a flight, side by side in pairs, as a PNG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(16.0, 5.0 * -(-len(states) // 2)), layout="constrained")
        grid = np.ravel(figure.subplots(-(-len(states) // 2), 2))
        for axes in grid:
            axes.set_axis_off()
        for axes, state, title in zip(grid, states, titles, strict=False):
            draw_circuit(axes, wiring, state)
            axes.set_title(title)
        return png(figure)


def draw_circuit(axes: Axes, wiring: Wiring, state: npt.NDArray[np.float32] | None = None) -> None:
    """All synapses and neurons; with the neurons' states (N,) as colours, where given."""
    inputs, neurons = places(wiring)
    everywhere = np.concatenate([inputs, neurons])
    source, target, polarity = synapses(wiring)
    active = np.full(len(everywhere), 0.25)
    if state is not None:
        active[wiring.inputs :] = np.abs(state)
    strength = np.clip(0.02 + 0.5 * active[source] ** 1.5, 0.0, 0.6)
    colors = np.where((polarity > 0)[:, None], to_rgb(EXCITES), to_rgb(INHIBITS))
    lines = np.stack([everywhere[source], neurons[target]], axis=1)
    axes.add_collection(LineCollection(list(lines), colors=np.c_[colors, strength], linewidths=0.6))
    axes.scatter(inputs[:, 0], inputs[:, 1], s=14, color="#b0b0b0", zorder=3)
    shown = np.zeros(len(neurons)) if state is None else state
    axes.scatter(
        neurons[:, 0], neurons[:, 1], s=42, c=shown, cmap="RdBu_r", vmin=-1.0, vmax=1.0,
        edgecolors="#404040", linewidths=0.5, zorder=3,
    )  # fmt: skip
    _name_layers(axes, wiring, neurons)
    axes.set_xlim(0.0, 1.04)
    axes.set_ylim(-0.02, 1.06)


def _name_layers(axes: Axes, wiring: Wiring, neurons: Places) -> None:
    names = ("inter", "command", "motor") if len(wiring.layers) == 3 else ("",) * len(wiring.layers)
    axes.text(CENTERS[0], 1.0, f"sensory ({wiring.inputs})", ha="center", fontsize=10)
    for name, part, size in zip(names, wiring.layer_slices(), wiring.layers, strict=True):
        axes.text(float(neurons[part, 0].mean()), 1.0, f"{name} ({size})", ha="center", fontsize=10)
    if wiring.outputs == len(COMMANDS):
        for name, place in zip(COMMANDS, neurons[-len(COMMANDS) :], strict=True):
            axes.text(place[0] + 0.015, place[1], name, va="center", fontsize=10)


def circuit_film(wiring: Wiring, replay: Replay) -> Iterator[Image]:
    """The circuit over the flight in real time, the camera's frame beside it: (720, 1280, 3) uint8."""
    background, neurons = _background(wiring)
    colors = matplotlib.colormaps["RdBu_r"]
    for moment in np.arange(0.0, replay.time[-1] + 0.5 / FPS, 1.0 / FPS):
        index = max(0, int(np.searchsorted(replay.time, moment + 1e-6, side="right")) - 1)
        picture = background.copy()
        state = np.clip(replay.next_state[index], -1.0, 1.0)
        for place, color, level in zip(
            neurons, 255 * colors((state + 1.0) / 2.0)[:, :3], np.abs(state), strict=True
        ):
            center = (int(place[0]), int(place[1]))
            cv2.circle(picture, center, 5 + round(4 * float(level)), color.tolist(), -1, cv2.LINE_AA)
            cv2.circle(picture, center, 5 + round(4 * float(level)), (64, 64, 64), 1, cv2.LINE_AA)
        frame = cv2.resize(replay.image[index], None, fx=INSET, fy=INSET, interpolation=cv2.INTER_NEAREST)
        height, width = frame.shape[:2]
        picture[-height - 8 : -8, -width - 8 : -8] = frame
        yield picture


def _background(wiring: Wiring) -> tuple[Image, npt.NDArray[np.int64]]:
    """The circuit at rest as pixels, and where its neurons are in it: (N, 2) column and row."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        draw_circuit(axes, wiring)
        picture = pixels_of(figure)
        at = axes.transData.transform(places(wiring)[1])
    at[:, 1] = SIZE[1] - at[:, 1]
    return picture, np.rint(at).astype(np.int64)

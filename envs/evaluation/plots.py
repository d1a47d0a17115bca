"""The figures of the report page, as SVG that takes its colours from the page.

matplotlib draws with stand-in colours, which are then replaced by the page's CSS variables: one figure is
right on a light and on a dark page. Text stays text. No user's words are drawn here (matplotlib would read
`$` in them as mathematics): titles stand in the page.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from navstack.envs.evaluation.record import FlightRecord
from navstack.envs.tasks.fly_to_target import SUCCESS_DISTANCE
from navstack.results import COLLISION, SUCCESS, TIMEOUT

SUCCESS_RINGS = {
    "FlyToTarget": SUCCESS_DISTANCE,
    "Search": SUCCESS_DISTANCE,
    "Occlusion": SUCCESS_DISTANCE,
}  # m, inner and outer radius around the target
POINTS = 90  # at most so many points of a trajectory are drawn
EDGE = 1.8  # m kept around a flight in its map

_INK, _GRID, _OBSTACLE, _TARGET, _ACCENT, _SECOND = (f"#0{n}0{n}0{n}" for n in range(1, 7))
_OUTCOMES = {SUCCESS: "#0a0a01", COLLISION: "#0a0a02", TIMEOUT: "#0a0a03"}
_OTHER = "#0a0a04"
_VARIABLES = {
    _INK: "--muted",
    _GRID: "--line",
    _OBSTACLE: "--obstacle",
    _TARGET: "--target",
    _ACCENT: "--accent",
    _SECOND: "--second",
    _OUTCOMES[SUCCESS]: "--success",
    _OUTCOMES[COLLISION]: "--collision",
    _OUTCOMES[TIMEOUT]: "--timeout",
    _OTHER: "--muted",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def trajectories(records: Sequence[FlightRecord]) -> str:
    """All flights of one world from above, turned so that each starts below and its target is the origin."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _map((3.4, 4.6))
        _draw_target(axes, (0.0, 0.0), records[0].env if records else "")
        half, top = 6.6, 5.4  # m; wider only where a flight went there
        for record in sorted(records, key=lambda record: record.outcome != SUCCESS):  # the lost ones on top
            path = _aligned(record)
            _draw_path(axes, path, record.outcome, width=0.9, alpha=0.55)
            if len(path):
                half = max(half, min(14.0, float(np.abs(path[:, 0]).max()) + 0.5))
                top = max(top, min(14.0, float(path[:, 1].max()) + 0.5))
        axes.set_xlim(-half, half)
        axes.set_ylim(-13.2, top)
        axes.set_xlabel("m across")
        axes.set_ylabel("m along the way")
        return _svg(figure, f"over-{records[0].world if records else ''}")


def flight_map(record: FlightRecord) -> str:
    """One flight from above, east to the right, with its obstacles, start and target."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _map((3.6, 3.6))
        path = record.trajectory[:, :2].astype(np.float64)
        ring = max(SUCCESS_RINGS.get(record.env, (0.0, 1.0)))
        corners = np.vstack(
            [path, np.subtract(record.target_enu[:2], ring), np.add(record.target_enu[:2], ring)]
        )
        low, high = corners.min(axis=0) - EDGE, corners.max(axis=0) + EDGE
        middle, half = (low + high) / 2.0, float((high - low).max()) / 2.0
        circles = [Circle((x, y), max(radius, 0.08)) for x, y, radius, _ in record.obstacles]
        axes.add_collection(PatchCollection(circles, facecolor=_OBSTACLE, edgecolor="none"))
        _draw_target(axes, record.target_enu[:2], record.env)
        _draw_path(axes, path, record.outcome, width=2.0, alpha=1.0)
        if len(path):
            axes.plot(*path[0], "o", color=_INK, markersize=5)
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)
        axes.set_xlabel("m east")
        axes.set_ylabel("m north")
        return _svg(figure, f"map-{record.world}-{record.seed}")


def curve(
    xs: Sequence[float],
    ys: Sequence[float],
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
    share: bool = False,
) -> str:
    """One learning curve; `share` draws y from 0 to 100% with a point at each value."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        axes = figure.subplots()
        values = np.asarray(ys, dtype=np.float64) * (100.0 if share else 1.0)
        if share:
            axes.plot(xs, values, "-o", color=_ACCENT, linewidth=2.0, markersize=6)
            axes.set_ylim(-3, 103)
        else:
            crowded = len(values) > 200
            axes.plot(
                xs, values, color=_ACCENT, linewidth=0.7 if crowded else 1.8, alpha=0.4 if crowded else 1.0
            )
            if crowded:
                axes.plot(xs, _smooth(values, len(values) // 50), color=_ACCENT, linewidth=2.0)
        if log and np.all(values > 0.0):
            axes.set_yscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        return _svg(figure, f"curve-{y_label}")


def commands(record: FlightRecord) -> str:
    """The commands of one flight over its time."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(10.0, 2.0), layout="constrained")
        axes = figure.subplots()
        times = np.linspace(0.0, record.seconds, len(record.commands))
        styles = (
            ("forward", _ACCENT, "-"),
            ("left", _SECOND, "-"),
            ("up", _INK, "-"),
            ("turn", _SECOND, ":"),
        )
        for column, (name, color, line) in enumerate(styles):
            axes.plot(times, record.commands[:, column], line, color=color, label=name, linewidth=1.5)
        axes.set_xlabel("s")
        axes.set_ylabel("m/s, turn rad/s")
        axes.legend(frameon=False, ncols=4, loc="upper right", fontsize=9)
        return _svg(figure, f"commands-{record.world}-{record.seed}")


def _map(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal")
    axes.locator_params(nbins=6)
    return figure, axes


def _draw_target(axes: Axes, center: Sequence[float], env: str) -> None:
    east, north = center[0], center[1]
    if env in SUCCESS_RINGS:
        inner, outer = SUCCESS_RINGS[env]
        for radius in (inner, outer):
            axes.add_patch(
                Circle((east, north), radius, fill=False, edgecolor=_OUTCOMES[SUCCESS], lw=0.9, ls="--")
            )
        middle, width = (inner + outer) / 2.0, outer - inner
        angles = np.linspace(0.0, 2.0 * np.pi, 73)
        ring = np.concatenate(
            [(middle + width / 2.0) * _circle(angles), (middle - width / 2.0) * _circle(angles[::-1])]
        )
        axes.fill(east + ring[:, 0], north + ring[:, 1], color=_OUTCOMES[SUCCESS], alpha=0.12, linewidth=0)
    axes.plot(east, north, "s", color=_TARGET, markersize=7)


def _circle(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _draw_path(axes: Axes, path: npt.NDArray[np.float64], outcome: str, width: float, alpha: float) -> None:
    if not len(path):
        return
    color = _OUTCOMES.get(outcome, _OTHER)
    points = path[np.unique(np.linspace(0, len(path) - 1, min(POINTS, len(path))).round().astype(int))]
    lost = outcome != SUCCESS
    lines = LineCollection(
        [points], colors=color, linewidths=width * (1.7 if lost else 1.0), alpha=1.0 if lost else alpha
    )
    axes.add_collection(lines)
    if lost:
        axes.plot(*points[-1], "x", color=color, markersize=7, markeredgewidth=2.0)


def _aligned(record: FlightRecord) -> npt.NDArray[np.float64]:
    """The path about its target, turned so that it starts below: (T, 2) m."""
    path = record.trajectory[:, :2].astype(np.float64) - np.asarray(record.target_enu[:2])
    if not len(path):
        return path
    turn = -np.pi / 2.0 - np.arctan2(path[0, 1], path[0, 0])
    cosine, sine = np.cos(turn), np.sin(turn)
    aligned: npt.NDArray[np.float64] = path @ np.array([[cosine, sine], [-sine, cosine]])
    return aligned


def _smooth(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    kernel = np.ones(window)
    weights = np.convolve(np.ones_like(values), kernel, "same")
    smoothed: npt.NDArray[np.float64] = np.convolve(values, kernel, "same") / weights
    return smoothed


def _svg(figure: Figure, salt: str) -> str:
    """The figure as an `<svg>` element whose colours are the page's variables and whose ids are its own."""
    stream = io.StringIO()
    settings: dict[Any, Any] = {"svg.hashsalt": salt}
    with matplotlib.rc_context(settings):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>",
        r'<svg viewBox="\1" role="img">',
        text,
        count=1,
        flags=re.DOTALL,
    )
    text = re.sub(r' d="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match[0]), text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var({variable})")
    return _own_ids(text, salt)


def _own_ids(svg: str, salt: str) -> str:
    """Element ids made unlike those of the page's other figures, references included."""
    prefix = f"f{zlib.crc32(salt.encode()):08x}"
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}.\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}.\1)", svg)
    return re.sub(r'href="#([^"]+)"', rf'href="#{prefix}.\1"', svg)

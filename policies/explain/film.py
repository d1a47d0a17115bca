"""The film of a policy's attention: camera, VisualBackProp and input gradients, the commands below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from navstack.contract import Image, Limits
from navstack.policies.explain.attention import Maps
from navstack.policies.explain.figures import commands_strip, pixels_of
from navstack.policies.explain.replay import Replay

FPS = 20.0
PANEL = (424, 282)  # width, height in pixels of one picture at the default camera's shape
GAP, HEADING, STRIP = 4, 34, 190  # pixels: between panels, height of the captions, of the commands
CURSOR = (0, 0, 0)


def attention_film(replay: Replay, maps: Sequence[tuple[str, Maps]], limits: Limits) -> Iterator[Image]:
    """The pictures of the film in real time, (H, W, 3) uint8: each shows the newest frame of its instant."""
    width = 3 * PANEL[0] + 2 * GAP
    strip, columns = commands_strip(replay, limits, width, STRIP)
    heading = _heading(("camera", *(name for name, _ in maps)), width)
    for moment in np.arange(0.0, replay.time[-1] + 0.5 / FPS, 1.0 / FPS):
        index = max(0, int(np.searchsorted(replay.time, moment + 1e-6, side="right")) - 1)
        panels = [_enlarge(replay.image[index])]
        panels += [_enlarge(overlay(replay.image[index], attention[index])) for _, attention in maps]
        commands = strip.copy()
        cv2.line(commands, (columns[index], 0), (columns[index], STRIP), CURSOR, 1)
        yield np.vstack([heading, _side_by_side(panels), commands])


def overlay(image: Image, attention: npt.NDArray[np.float32]) -> Image:
    """A frame in grey, coloured by the map (H, W) of 0 to 1 where it is high."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    heat = cv2.applyColorMap((255.0 * attention).astype(np.uint8), cv2.COLORMAP_INFERNO)
    heat = cv2.cvtColor(heat, cv2.COLOR_BGR2RGB).astype(np.float32)
    share = np.sqrt(attention)[..., None]
    return (0.55 * grey * (1.0 - share) + heat * share).astype(np.uint8)


def _enlarge(image: Image) -> Image:
    return cv2.resize(image, PANEL, interpolation=cv2.INTER_NEAREST).astype(np.uint8)


def _side_by_side(panels: Sequence[Image]) -> Image:
    gap = np.full((PANEL[1], GAP, 3), 255, np.uint8)
    row = [part for panel in panels for part in (panel, gap)][:-1]
    return np.hstack(row)


def _heading(names: Sequence[str], width: int) -> Image:
    figure = Figure(figsize=(width / 100, HEADING / 100), dpi=100)
    for number, name in enumerate(names):
        left = (number * (PANEL[0] + GAP) + 6) / width
        figure.text(left, 0.5, name, va="center", fontsize=12, parse_math=False)
    return pixels_of(figure)

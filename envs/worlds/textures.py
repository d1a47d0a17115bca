"""Procedural textures: small pictures by family, tinted by two colours.

They repeat without a seam, but for leaves, gravel and cells, which cut their patches at the edge, and but for
bark and wood along their grain.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Image, Vector3
from navstack.envs.worlds.spec import Crop, Family, Palette, is_target_red
from navstack.errors import InputError

LARGEST_PART = 1024  # pixels a side that are kept of an image
MUTED = 0.25  # of a red's distance from grey is kept
MUTED_HUE, MUTED_SATURATION, MUTED_VALUE = 16, 115, 60  # a little more than a marker's red, as bytes

Field = npt.NDArray[np.float32]  # (n, n), about 0 to 1: how much of the second colour


def draw_color(palette: Palette, rng: np.random.Generator) -> Vector3:
    """A colour between two of the palette, or any that is not a marker's red."""
    if palette == "any":
        hue = rng.uniform(19.0, 341.0) / 360.0
        saturation, value = rng.uniform(0.0, 1.0), rng.uniform(0.12, 1.0)
        return colorsys.hsv_to_rgb(hue, saturation, value)
    first, second = (np.array(palette[i]) for i in rng.integers(len(palette), size=2))
    color = first + rng.uniform() * (second - first)
    red, green, blue = np.clip(color * rng.uniform(0.92, 1.08), 0.0, 1.0).tolist()
    if is_target_red((red, green, blue)):  # two allowed colours may have red between them
        grey = (red + green + blue) / 3.0
        red, green, blue = (grey + 0.3 * (c - grey) for c in (red, green, blue))
    return red, green, blue


def make_texture(
    family: Family, color: Vector3, contrast: float, size: int, rng: np.random.Generator
) -> Image:
    """(size, size, 3) uint8 RGB. `contrast` from 0 to 1 is how far the second colour lies."""
    wild = family == "any"
    if family == "any":
        family = RANDOM_FAMILIES[rng.integers(len(RANDOM_FAMILIES))]
    mix = FAMILIES[family](size, rng)[..., None]
    base = np.array(color)
    other = np.clip(base * (1.0 - contrast * rng.uniform(0.5, 1.0)), 0.0, 1.0)
    if wild and rng.random() < 0.5:
        second = np.array(draw_color("any", rng))
        other = base + min(1.0, 1.5 * contrast) * (second - base)
        if is_target_red(tuple(other.tolist())):
            other = base * 0.6
    elif family == "brick":
        other = 0.5 * base + 0.5 * np.array((0.72, 0.70, 0.66))
    picture = base + (other - base) * mix
    return np.rint(255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)


def image_texture(path: str, size: int, crop: Crop | None = None) -> Image:
    """(size, size, 3) uint8 RGB from an image file. Raises InputError when it is no longer there."""
    return cv2.resize(image_part(path, crop), (size, size), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def image_part(path: str, crop: Crop | None = None) -> Image:
    """(H, W, 3) uint8 RGB: an image file or a part of it, without a marker's red.

    Raises InputError when it is no longer there.
    """
    try:
        return _image_part(Path(path), Path(path).stat().st_mtime_ns, crop)
    except (OSError, cv2.error) as error:
        raise InputError(
            f"the texture {path} can no longer be read; it could when its world was loaded"
        ) from error


@lru_cache(maxsize=32)
def _image_part(path: Path, _modified: int, crop: Crop | None) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise OSError("not an image")
    height, width = picture.shape[:2]
    left, top, right, bottom = crop or (0.0, 0.0, 1.0, 1.0)
    rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
    columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
    part = cv2.cvtColor(np.ascontiguousarray(picture[rows, columns]), cv2.COLOR_BGR2RGB)
    shrink = min(1.0, LARGEST_PART / max(part.shape[:2]))
    if shrink < 1.0:
        part = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return mute_red(np.asarray(part, dtype=np.uint8))


def mute_red(picture: Image) -> Image:
    """A picture whose marker-red pixels are near grey: nothing but a target has that colour."""
    hue, saturation, value = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL))
    near = np.minimum(hue, 255 - hue) <= MUTED_HUE
    red = near & (saturation > MUTED_SATURATION) & (value > MUTED_VALUE)
    grey = picture.mean(axis=2, keepdims=True)
    return np.where(red[..., None], np.rint(grey + MUTED * (picture - grey)), picture).astype(np.uint8)


def tinted(picture: Image, color: Vector3) -> Image:
    """The light and dark of a picture in another colour, which its mean takes."""
    shade = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    shade /= max(1.0, float(shade.mean()))
    return np.rint(255.0 * np.clip(shade[..., None] * np.array(color), 0.0, 1.0)).astype(np.uint8)


def noise(size: int, cells: int, rng: np.random.Generator) -> Field:
    """Smooth tileable value noise from 0 to 1 with this many cells a side."""
    values = rng.random((cells, cells), dtype=np.float32)
    around = np.arange(-2, cells + 2) % cells
    wrapped = values[np.ix_(around, around)]
    scale = size / cells
    large = cv2.resize(wrapped, (round((cells + 4) * scale),) * 2, interpolation=cv2.INTER_LINEAR)
    start = round(2 * scale)
    return np.asarray(large[start : start + size, start : start + size], dtype=np.float32)


def _fractal(size: int, cells: tuple[int, ...], rng: np.random.Generator) -> Field:
    weights = [0.6**k for k in range(len(cells))]
    total = sum(w * noise(size, min(c, size), rng) for w, c in zip(weights, cells, strict=True))
    return np.asarray(total / sum(weights), dtype=np.float32)


def _stretch(field: Field) -> Field:
    low, high = quantiles(field, 0.02, 0.98)
    # Double precision, as of numpy's quantiles: a picture's last bit hangs on it.
    spread = field.astype(np.float64) - low
    return np.clip(spread / max(1e-6, high - low), 0.0, 1.0).astype(np.float32)


def quantiles(field: Field, low: float, high: float) -> tuple[float, float]:
    """What `numpy.quantile` says of two shares, to the last bit, in a fifth of its time for small fields."""
    places = [share * (field.size - 1) for share in (low, high)]
    ranks = [(int(place), min(int(place) + 1, field.size - 1)) for place in places]
    values = np.partition(field, [rank for pair in ranks for rank in pair], axis=None)
    first, second = (
        _between(values[below], values[above], place - below)
        for (below, above), place in zip(ranks, places, strict=True)
    )
    return first, second


def _between(below: np.float32, above: np.float32, share: float) -> float:
    """Linear interpolation from the nearer end, the difference being of single precision, as numpy's."""
    step = float(above - below)
    return float(below) + step * share if share < 0.5 else float(above) - step * (1.0 - share)


def _plain(size: int, rng: np.random.Generator) -> Field:
    return 0.25 * noise(size, 8, rng)


def _grass(size: int, rng: np.random.Generator) -> Field:
    return _stretch(
        _fractal(size, (4, 16, size // 2), rng) + 0.25 * rng.random((size, size), dtype=np.float32)
    )


def _snow(size: int, rng: np.random.Generator) -> Field:
    return 0.5 * _stretch(_fractal(size, (3, 6, 24), rng)) ** 2


def _leaves(size: int, rng: np.random.Generator) -> Field:
    return _stretch(0.6 * _cells(size, rng, 90) + 0.5 * noise(size, size // 4, rng))


def _asphalt(size: int, rng: np.random.Generator) -> Field:
    return np.clip(0.35 * noise(size, 5, rng) + 0.5 * rng.random((size, size), dtype=np.float32), 0.0, 1.0)


def _gravel(size: int, rng: np.random.Generator) -> Field:
    return _stretch(_cells(size, rng, 140))


def _brick(size: int, rng: np.random.Generator) -> Field:
    rows, columns, joint = 8, 4, max(1, size // 40)
    y, x = np.mgrid[0:size, 0:size]
    height, width = size // rows, size // columns
    row = y // height
    shifted = (x + (row % 2) * (width // 2)) % size
    mortar = (y % height < joint) | (shifted % width < joint)
    tones = 0.45 * rng.random((rows + 1, columns), dtype=np.float32)
    return np.where(mortar, 1.0, tones[row, shifted // width % columns]).astype(np.float32)


def _concrete(size: int, rng: np.random.Generator) -> Field:
    field = 0.7 * _stretch(_fractal(size, (3, 9, 32), rng))
    seam = max(1, size // 64)
    field[:seam], field[:, :seam] = 1.0, 1.0
    return field


def _bark(size: int, rng: np.random.Generator) -> Field:
    streaks = cv2.blur(rng.random((size, size), dtype=np.float32), (1, max(3, size // 5)))
    return _stretch(np.asarray(streaks, dtype=np.float32))


def _wood(size: int, rng: np.random.Generator) -> Field:
    grain = cv2.blur(rng.random((size, size), dtype=np.float32), (max(3, size // 3), 1))
    field = 0.6 * _stretch(np.asarray(grain, dtype=np.float32))
    field[:: max(4, size // 5)] = 1.0
    return field


def _field(size: int, rng: np.random.Generator) -> Field:
    rows = 0.5 + 0.5 * np.sin(2.0 * np.pi * np.arange(size) * rng.integers(4, 9) / size)
    return _stretch(rows[None, :].astype(np.float32) + 0.8 * _fractal(size, (6, 24), rng))


def _noise(size: int, rng: np.random.Generator) -> Field:
    first = int(rng.integers(2, 12))
    return _stretch(_fractal(size, (first, 2 * first, 4 * first), rng))


def _stripes(size: int, rng: np.random.Generator) -> Field:
    y, x = np.mgrid[0:size, 0:size]
    a, b = rng.integers(-6, 7, size=2)
    wave = np.sin(2.0 * np.pi * (a * x + (b or 1) * y) / size)
    return (0.5 + 0.5 * np.tanh(rng.uniform(1.0, 8.0) * wave)).astype(np.float32)


def _checks(size: int, rng: np.random.Generator) -> Field:
    y, x = np.mgrid[0:size, 0:size]
    n = 2 * int(rng.integers(1, 6))
    return ((x * n // size + y * n // size) % 2).astype(np.float32)


def _spots(size: int, rng: np.random.Generator) -> Field:
    field = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.integers(6, 40))):
        x, y = rng.integers(size, size=2)
        radius = int(rng.integers(max(1, size // 40), max(2, size // 8)))
        for dx in (-size, 0, size):
            for dy in (-size, 0, size):
                cv2.circle(field, (int(x) + dx, int(y) + dy), radius, 1.0, -1)
    return field


def _cells(size: int, rng: np.random.Generator, number: int = 24) -> Field:
    seeds = np.full((3 * size, 3 * size), 255, dtype=np.uint8)
    points = rng.integers(size, size=(number, 2))
    for dx in (0, size, 2 * size):
        for dy in (0, size, 2 * size):
            seeds[points[:, 0] + dx, points[:, 1] + dy] = 0
    distance, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    middle = slice(size, 2 * size)
    tones = rng.random(int(labels.max()) + 1, dtype=np.float32)
    return np.asarray(
        0.7 * tones[labels[middle, middle]]
        + 0.3 * _stretch(np.asarray(distance[middle, middle], dtype=np.float32)),
        dtype=np.float32,
    )


FAMILIES: dict[str, Callable[[int, np.random.Generator], Field]] = {
    "plain": _plain,
    "grass": _grass,
    "snow": _snow,
    "leaves": _leaves,
    "asphalt": _asphalt,
    "brick": _brick,
    "concrete": _concrete,
    "bark": _bark,
    "wood": _wood,
    "gravel": _gravel,
    "field": _field,
    "noise": _noise,
    "stripes": _stripes,
    "checks": _checks,
    "spots": _spots,
    "cells": _cells,
}
RANDOM_FAMILIES: tuple[Family, ...] = (
    "noise",
    "stripes",
    "checks",
    "spots",
    "cells",
    "plain",
    "gravel",
    "leaves",
)
"""What "any" draws from."""

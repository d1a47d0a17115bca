"""How far the pictures of two worlds lie apart, by statistics that a person can check: colour and texture.

The distance is the square root of the energy distance (Szekely and Rizzo, Energy statistics, J. Stat. Plann.
Inference 143, 2013, eq. 2.1): a metric between distributions that needs no model of either.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from navstack.contract import Image

BANDS = 3  # of rows: sky, middle and ground, about

Array = npt.NDArray[np.float64]


def features(image: Image) -> Array:
    """(21,) of (H, W, 3) uint8 RGB: for each band the means and spreads of L, a, b, and how rough it is."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    light = lab[..., 0]
    rough = np.abs(np.diff(light, axis=1)).mean(axis=1)
    found: list[float] = []
    for rows in np.array_split(np.arange(len(lab)), BANDS):
        band = lab[rows].reshape(-1, 3)
        found += [*band.mean(axis=0).tolist(), *band.std(axis=0).tolist(), float(rough[rows].mean())]
    return np.array(found)


def standardised(worlds: dict[str, Array]) -> dict[str, Array]:
    """(n, 21) features of each world's pictures, each feature divided by its spread over all worlds."""
    spread = np.concatenate(list(worlds.values())).std(axis=0)
    return {name: values / np.maximum(spread, 1e-9) for name, values in worlds.items()}


def distance(first: Array, second: Array) -> float:
    """Square root of the energy distance between two samples, (n, k) and (m, k), of independent draws."""
    between = _distances(first, second).mean()
    within = [_distances(x, x).sum() / (len(x) * (len(x) - 1)) for x in (first, second)]
    return math.sqrt(max(0.0, 2.0 * float(between) - float(sum(within))))


def spread(sample: Array) -> float:
    """Mean distance between two different pictures of a sample."""
    return float(_distances(sample, sample).sum() / (len(sample) * (len(sample) - 1)))


def _distances(first: Array, second: Array) -> Array:
    """(n, m) Euclidean distances."""
    return np.asarray(np.linalg.norm(first[:, None, :] - second[None, :, :], axis=-1))

"""How far pictures lie apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.envs.worlds.likeness import distance, features, spread, standardised


def test_two_points_lie_as_far_apart_as_the_energy_distance_says() -> None:
    """All of X at 0 and all of Y at d: 2 E|X - Y| = 2 d, and nothing within."""
    assert distance(np.zeros((5, 1)), np.full((7, 1), 3.0)) == pytest.approx(math.sqrt(6.0))


@given(st.integers(0, 2**32), st.floats(0.5, 5.0))
def test_shifted_samples_are_apart_and_halves_of_one_are_not(seed: int, shift: float) -> None:
    """The farther a sample is shifted from itself, the farther apart: E|X - X' - s| is convex and even."""
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, 60, 4))
    assert distance(first, first + 2.0 * shift) > distance(first, first + shift) > distance(first, first)
    assert distance(first, second) < 0.5 < distance(first, second + 2.0 * (1.0 + shift))


def test_the_spread_of_a_unit_step_is_one() -> None:
    assert spread(np.array([[0.0], [1.0]])) == pytest.approx(1.0)


def test_features_tell_sky_from_ground_and_rough_from_smooth() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:22], image[44:] = (90, 140, 220), (60, 120, 40)
    image[44:, ::2] //= 2
    found = features(image).reshape(3, 7)
    assert found[0, 0] > found[2, 0] > found[1, 0] == pytest.approx(0.0, abs=1.0)  # light
    assert found[0, 2] < 0.0 or found[0, 1] > -5.0  # the sky is blue
    assert found[2, 6] > 10.0 > found[0, 6]  # and only the ground is rough
    scaled = standardised({"a": np.array([features(image)]), "b": np.array([features(image // 2)])})
    assert np.concatenate(list(scaled.values())).std(axis=0).max() == pytest.approx(1.0)

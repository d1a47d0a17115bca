"""Procedural textures and image textures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.envs.worlds.spec import Family, is_target_red
from navstack.envs.worlds.textures import (
    FAMILIES,
    RANDOM_FAMILIES,
    draw_color,
    image_texture,
    make_texture,
    quantiles,
)
from navstack.errors import InputError

SIZES = (48, 128)  # pixels: an object's tile, the ground
CUT = {
    "leaves": "xy",
    "gravel": "xy",
    "cells": "xy",
    "bark": "y",
    "wood": "x",
}  # families with a seam along an edge

families = pytest.mark.parametrize("family", get_args(Family))


def test_every_family_that_may_be_named_can_be_made() -> None:
    assert set(get_args(Family)) == set(FAMILIES) | {"any"}
    assert set(RANDOM_FAMILIES) <= set(FAMILIES)


@families
@pytest.mark.parametrize("size", SIZES)
def test_a_texture_is_a_picture_of_the_size_asked_for(family: Family, size: int) -> None:
    picture = make_texture(family, (0.3, 0.5, 0.4), 0.5, size, np.random.default_rng(0))
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


@families
def test_the_same_numbers_give_the_same_texture_and_others_another(family: Family) -> None:
    first, again, other = (
        make_texture(family, (0.3, 0.5, 0.4), 0.5, 48, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("family", "axis"),
    [(family, axis) for family in FAMILIES for axis in "xy" if axis not in CUT.get(family, "")],
)
def test_a_texture_repeats_without_a_seam(family: str, axis: str) -> None:
    """Across the edge neighbours differ no more than across the sharpest line within."""
    ratios = []
    for seed in range(20):
        field = FAMILIES[family](128, np.random.default_rng(seed)).astype(float)
        field = field if axis == "x" else field.T
        within = np.abs(np.diff(field, axis=1)).mean(axis=0).max()
        across = np.abs(field[:, 0] - field[:, -1]).mean()
        ratios.append(across / within if within > 0.0 else 1.0)
    assert np.mean(ratios) < 1.1


@families
def test_without_contrast_only_the_familys_own_second_colour_remains(family: Family) -> None:
    color = (0.2, 0.4, 0.6)
    picture = make_texture(family, color, 0.0, 48, np.random.default_rng(3)) / 255.0
    if family not in ("brick", "any"):
        assert np.abs(picture - color).max() < 0.003


@given(family=st.sampled_from(get_args(Family)), contrast=st.floats(0.0, 1.0), seed=st.integers(0, 2**32))
def test_no_texture_shows_a_markers_red(family: Family, contrast: float, seed: int) -> None:
    """Between two allowed colours there may be red: at most 1 in 50 pixels of it."""
    rng = np.random.default_rng(seed)
    picture = make_texture(family, draw_color("any", rng), contrast, 48, rng)
    hsv = cv2.cvtColor((picture / 255.0).astype(np.float32), cv2.COLOR_RGB2HSV)
    red = (np.minimum(hsv[..., 0], 360.0 - hsv[..., 0]) <= 15.0) & (hsv[..., 1] > 0.55) & (hsv[..., 2] > 0.3)
    assert red.mean() <= 0.02


def test_hsv_of_the_check_above_is_that_of_the_rule() -> None:
    red = np.array([[[0.8, 0.1, 0.1]]], dtype=np.float32)
    hue, saturation, value = cv2.cvtColor(red, cv2.COLOR_RGB2HSV)[0, 0]
    assert min(hue, 360.0 - hue) <= 15.0
    assert saturation > 0.55
    assert value > 0.3
    assert is_target_red((0.8, 0.1, 0.1))


def test_an_image_becomes_a_texture_in_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    picture = np.zeros((40, 60, 3), np.uint8)  # BGR, as OpenCV writes
    picture[:20] = (200, 100, 50)
    cv2.imwrite(str(path), picture)
    texture = image_texture(str(path), 32)
    assert texture.shape == (32, 32, 3)
    assert texture[4, 4].tolist() == [50, 100, 200]
    assert texture[-4, 4].tolist() == [0, 0, 0]


def test_an_image_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "colour.png"
    for number, color in enumerate(((255, 0, 0), (0, 255, 0))):
        cv2.imwrite(str(path), np.full((8, 8, 3), color, np.uint8))
        os.utime(path, ns=(number * 10**9, number * 10**9))
        assert image_texture(str(path), 8)[0, 0].tolist() == list(color[::-1])


def test_an_image_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png can no longer be read"):
        image_texture(str(tmp_path / "gone.png"), 8)


@given(st.integers(2, 140), st.integers(0, 2**31), st.integers(1, 8))
def test_quantiles_are_numpys_to_the_last_bit(size, seed, digits):
    field = np.random.default_rng(seed).random((size, size), dtype=np.float32).round(digits)
    assert quantiles(field, 0.02, 0.98) == tuple(np.quantile(field, (0.02, 0.98)).tolist())

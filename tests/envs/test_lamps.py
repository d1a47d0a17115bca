"""Darkness, lamps, the sun's glow and photographs: what is computed from depth after the renderer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import Image
from navstack.envs.atmosphere import Axes, pixel_rays
from navstack.envs.backdrop import Backdrop
from navstack.envs.lamps import BRIGHTEST, FALLOFF, SHINE, Lamplight
from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.scene import Fog, Lamp, Light, Panorama, Scene, Sky

HEIGHT, WIDTH, FOV = 64, 96, math.radians(80.0)
NEAR, FAR = 0.05, 250.0
AHEAD: Axes = ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))  # looks east
RAYS, LENGTHS = pixel_rays(WIDTH, HEIGHT, FOV)
SCENE = Scene(
    ground=0, statics=(), targets=(), obstacles=np.empty((0, 4)),
    light=Light((1.0, 0.0, 0.1), (1.0, 0.6, 0.4), 0.6, 0.3, 0.0),
    sky=Sky((0.1, 0.1, 0.2), (0.2, 0.2, 0.3), 0.0, 1), fog=Fog((0.0, 0.0, 0.0), 0.0),
    wind_enu=(0.0, 0.0, 0.0),
)  # fmt: skip


def buffer(distance: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The depth buffer of a wall across the view at this distance (m)."""
    depth = (FAR - FAR * NEAR / np.broadcast_to(distance, (HEIGHT, WIDTH))) / (FAR - NEAR)
    return np.ascontiguousarray(depth, dtype=np.float32)


def lit(scene: Scene, distance: float, grey: int = 100, shining: bool = False) -> npt.NDArray[np.uint8]:
    picture = np.full((HEIGHT, WIDTH, 4), grey, dtype=np.uint8)
    ids = np.full((HEIGHT, WIDTH), 7 if shining else 0, dtype=np.int32)
    lamplight = Lamplight(RAYS * LENGTHS[..., None], NEAR, FAR)
    lamplight.light(picture, buffer(distance), ids, (0.0, 0.0, 0.0), AHEAD, scene)
    return picture


# Darkness and lamps


@given(st.floats(0.02, 1.0))
def test_darkness_leaves_its_share_and_turns_blue(level: float) -> None:
    scene = replace(SCENE, light=replace(SCENE.light, level=level))
    red, green, blue = lit(scene, 8.0, grey=200)[30, 40, :3].astype(float) / 200.0
    assert green == pytest.approx(level * (1.0 - 0.125 * (1.0 - level)), abs=0.004)
    assert red <= green <= blue <= 1.01


def test_right_below_a_lamp_it_is_as_bright_as_the_file_says() -> None:
    """A lamp 5 m before a wall gives it `color` where it is nearest, and falls off as the docstring says."""
    lamp = Lamp((7.0, 0.0, 0.0), (0.8, 0.4, 0.2), reach=15.0, height=5.0)
    scene = replace(SCENE, light=replace(SCENE.light, level=0.02), lamps=(lamp,))
    picture = lit(scene, 12.0, grey=200)
    middle = picture[HEIGHT // 2, WIDTH // 2, :3] / 200.0
    assert middle == pytest.approx([0.82, 0.42, 0.22], abs=0.02)
    for row, column in ((2, 5), (40, 90), (60, 48)):
        place = 12.0 * RAYS[row, column] * LENGTHS[row, column]  # right, up, forward
        square = float(((place - (0.0, 0.0, 7.0)) ** 2).sum())
        fall = lambda d: (1.0 + d * (FALLOFF / 15.0) ** 2) ** -2  # noqa: E731
        expected = 0.02 + 0.8 * fall(square) / fall(25.0)
        assert picture[row, column, 0] / 200.0 == pytest.approx(expected, abs=0.01)


def test_a_hundredth_is_left_at_the_reach() -> None:
    assert pytest.approx(0.01) == (1.0 + FALLOFF**2) ** -2


def test_no_light_is_brighter_than_the_exposure() -> None:
    lamps = tuple(Lamp((7.0, 0.0, 0.0), (3.0, 3.0, 3.0), 15.0, 5.0) for _ in range(3))
    assert lit(replace(SCENE, lamps=lamps), 8.0)[32, 48, 0] == round(BRIGHTEST * 100)


def test_what_shines_by_itself_is_as_bright_in_the_dark() -> None:
    scene = replace(SCENE, light=replace(SCENE.light, level=0.05), shining=7)
    assert (lit(scene, 8.0, shining=True)[..., :3] == round(SHINE * 100)).all()
    assert (lit(scene, 8.0)[..., :3] < 10).all()


@pytest.mark.parametrize(("wall", "seen"), [(60.0, True), (10.1, True), (6.0, False)])
def test_the_air_glows_around_a_lamp_that_nothing_hides(wall: float, seen: bool) -> None:
    lamp = Lamp((10.0, 2.0, 1.0), (1.0, 0.8, 0.5), 15.0, 5.0)
    picture = np.zeros((HEIGHT, WIDTH, 4), dtype=np.uint8)
    lamplight = Lamplight(RAYS * LENGTHS[..., None], NEAR, FAR)
    scene = replace(SCENE, lamps=(lamp,))
    lamplight.halos(picture, buffer(wall), (0.0, 0.0, 0.0), AHEAD, scene)
    assert picture.any() == seen
    if seen:
        row, column = np.unravel_index(int(picture[..., 0].argmax()), (HEIGHT, WIDTH))
        focal = 0.5 * WIDTH / math.tan(0.5 * FOV)
        assert column + 0.5 == pytest.approx(48.0 - focal * 0.2, abs=1.0)
        assert row + 0.5 == pytest.approx(32.0 - focal * 0.1, abs=1.0)


def test_fog_widens_the_glow_and_weakens_it_with_distance() -> None:
    lamplight = Lamplight(RAYS * LENGTHS[..., None], NEAR, FAR)

    def glow(density: float, away: float) -> tuple[int, int]:
        lamp = Lamp((away, 0.0, 0.0), (1.0, 1.0, 1.0), 15.0, 5.0)
        picture = np.zeros((HEIGHT, WIDTH, 4), dtype=np.uint8)
        scene = replace(SCENE, lamps=(lamp,), fog=Fog((0.0, 0.0, 0.0), density))
        lamplight.halos(picture, buffer(100.0), (0.0, 0.0, 0.0), AHEAD, scene)
        return int((picture[..., 0] > 5).sum()), int(picture[..., 0].max())

    assert glow(0.05, 8.0)[0] > 2 * glow(0.0, 8.0)[0]
    assert glow(0.05, 30.0)[1] < 0.5 * glow(0.05, 8.0)[1]


# Behind everything


def behind(scene: Scene, axes: Axes = AHEAD) -> npt.NDArray[np.uint8]:
    picture = np.full((HEIGHT, WIDTH, 4), 40, dtype=np.uint8)
    Backdrop(RAYS).draw(picture, np.ones((HEIGHT, WIDTH), dtype=np.float32), axes, scene)
    return picture


def test_the_sky_glows_around_the_sun_and_away_from_it_does_not() -> None:
    scene = replace(SCENE, sky=replace(SCENE.sky, glow=0.8))
    towards = behind(scene)
    assert towards[30, 48, 0] > towards[30, 2, 0] + 20
    west: Axes = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0))
    assert np.abs(behind(scene, west)[..., :3].astype(int) - 40).max() <= 1


@pytest.fixture
def photograph(tmp_path: Path) -> str:
    """Green to the left, blue to the right, a marker's red at the top."""
    picture = np.zeros((60, 120, 3), np.uint8)
    picture[:, :60], picture[:, 60:], picture[:20] = (0, 200, 0), (200, 0, 0), (20, 20, 220)  # BGR
    path = tmp_path / "far.png"
    cv2.imwrite(str(path), picture)
    return str(path)


def test_a_photograph_stands_on_the_horizon_and_its_repeats_meet(photograph: str) -> None:
    scene = replace(
        SCENE, sky=replace(SCENE.sky, panorama=Panorama(photograph, None, math.radians(60.0), 0.0))
    )
    row = np.array([_looking(scene, angle)[31, 48, :3] for angle in np.arange(0.0, 360.0, 3.0)])
    is_green = row[:, 1].astype(int) > row[:, 2]
    assert 0.45 < is_green.mean() < 0.55
    assert (is_green != np.roll(is_green, 1)).sum() == 6  # in the middle of each repeat
    top = _looking(scene, 0.0)[2, 20:70, :3].astype(int)
    assert (top[:, 0] - top[:, 1]).max() < 80  # its red is muted


def _looking(scene: Scene, degrees: float) -> npt.NDArray[np.uint8]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return behind(scene, ((s, -c, 0.0), (0.0, 0.0, 1.0), (c, s, 0.0)))


# End to end

STREET: dict[str, Any] = {
    "name": "street",
    "ground": {"textures": [{"family": "plain", "colors": [[0.6, 0.6, 0.6]], "contrast": 0.0}]},
    "sky": {"zenith": [[0.02, 0.02, 0.05]], "horizon": [[0.02, 0.02, 0.05]], "clouds": [0, 0]},
    "light": {"level": [0.1, 0.1]},
}


def night(folder: Path, **changes: Any) -> list[Image]:
    path = folder / "street.yaml"
    path.write_text(yaml.safe_dump(STREET | changes))
    environment = NavigationEnv(world=path, purpose="evaluate", render_mode="rgb_array")
    try:
        found = [environment.reset(seed=seed)[0]["image"] for seed in range(4)]
        chase = environment.render()
        assert chase is not None
        return [*found, chase]
    finally:
        environment.close()


def test_lamps_light_a_dark_street_and_windows_shine(tmp_path: Path) -> None:
    dark = night(tmp_path)
    lamps = [{"kind": "lamp", "count": [12, 12], "height": [4, 5], "lamp": {"brightness": [0.8, 0.8]}}]
    lamplit = night(tmp_path, objects=lamps)
    for before, after in zip(dark, lamplit, strict=True):
        assert before[-16:].mean() < 25.0
        assert after[-16:].mean() > 1.3 * before[-16:].mean()
    towers = {"kind": "building", "count": [6, 8], "height": [20, 25], "ring": [34, 50]}
    unlit = night(tmp_path, objects=[towers])
    windows = night(tmp_path, objects=[towers | {"lamp": {"lit": 1.0}}])
    assert max(picture[:20].max() for picture in unlit) < 70
    assert max(picture[:20].max() for picture in windows) > 150

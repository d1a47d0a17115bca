"""The simulated camera: where things appear, sky, fog, determinism, chase view."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pybullet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import CameraSpec
from navstack.envs.atmosphere import cloud_square
from navstack.envs.sensors import Camera, camera_axes, chase_view
from navstack.envs.worlds.scene import Fog, Light, Scene, Sky
from navstack.errors import InputError

SPEC = CameraSpec()
FOCAL = 0.5 * SPEC.width / math.tan(0.5 * SPEC.horizontal_fov)  # pixels
LEVEL = (0.0, 0.0, 0.0, 1.0)
EYE = (0.0, 0.0, 1.5)

DIGEST = """
import hashlib, math, pybullet
from navstack.contract import CameraSpec
from navstack.envs.atmosphere import cloud_square
from navstack.envs.sensors import Camera, chase_view
from navstack.envs.worlds.build import build_world
from navstack.envs.worlds.layout import Layout, TargetPlacement
from navstack.envs.worlds.spec import load_world
import numpy as np
client = pybullet.connect(pybullet.DIRECT)
layout = Layout((TargetPlacement("cone", 8.0, 1.0, 0.0, 1.2),), (), (4.0, 0.0), 25.0)
scene = build_world(client, load_world("meadow"), layout, np.random.default_rng(5))
camera, digest = Camera(client, CameraSpec()), hashlib.sha256()
for yaw in (0.0, 0.4, 2.0):
    digest.update(camera.render((0.0, 0.0, 1.5), (0.0, 0.0, math.sin(yaw), math.cos(yaw)), scene).tobytes())
digest.update(chase_view(client, (0.0, 0.0, 1.5), 0.2, scene, 160, 90).tobytes())
print(digest.hexdigest())
"""


class Stage:
    """An empty plain with a small red ball, a slab and a wall that can be put anywhere."""

    def __init__(self) -> None:
        self.client = pybullet.connect(pybullet.DIRECT)
        self.ball = self._body((0.9, 0.0, 0.0), pybullet.GEOM_SPHERE, radius=0.15)
        self.slab = self._body((0.5, 0.5, 0.5), pybullet.GEOM_BOX, halfExtents=(0.8, 0.8, 0.05))
        self.wall = self._body((0.2, 0.6, 0.4), pybullet.GEOM_BOX, halfExtents=(0.1, 120.0, 120.0))
        ground = self._body((0.3, 0.5, 0.3), pybullet.GEOM_BOX, halfExtents=(120.0, 120.0, 0.5))
        self.put(ground, (0.0, 0.0, -0.5))
        self.camera = Camera(self.client, SPEC)
        self.scene = Scene(
            ground=ground,
            statics=(self.wall,),
            targets=(self.ball,),
            obstacles=np.zeros((0, 4)),
            light=Light((-0.5, 0.0, 0.8), (1.0, 1.0, 1.0), ambient=0.6, diffuse=0.4, specular=0.0),
            sky=Sky((0.2, 0.4, 0.8), (0.7, 0.8, 0.9), cloud_cover=0.0, seed=1),
            fog=Fog((0.8, 0.7, 0.6), density=0.0),
            wind_enu=(0.0, 0.0, 0.0),
        )
        self.clear()

    def _body(self, color, shape, **size):
        visual = pybullet.createVisualShape(
            shape, rgbaColor=(*color, 1.0), physicsClientId=self.client, **size
        )
        return pybullet.createMultiBody(0.0, -1, visual, physicsClientId=self.client)

    def put(self, body, position):
        pybullet.resetBasePositionAndOrientation(body, position, LEVEL, physicsClientId=self.client)

    def clear(self):
        for body in (self.ball, self.slab, self.wall):
            self.put(body, (0.0, 0.0, -900.0))  # far under the ground

    def render(self, orientation=LEVEL, spec=SPEC, **changes):
        camera = self.camera if spec is SPEC else Camera(self.client, spec)
        return camera.render(EYE, orientation, dataclasses.replace(self.scene, **changes))


@pytest.fixture(scope="module")
def made_stage():
    stage = Stage()
    yield stage
    pybullet.disconnect(stage.client)


@pytest.fixture
def stage(made_stage):
    made_stage.clear()
    return made_stage


def turned(roll=0.0, pitch=0.0, yaw=0.0):
    """Quaternion of roll about forward, pitch about left (nose down positive), yaw about up, in rad."""
    return pybullet.getQuaternionFromEuler((roll, pitch, yaw))


def red_center(image):
    """(column, row) of the red pixels' middle, counted from the picture's corner."""
    values = image.astype(int)
    rows, columns = np.nonzero((values[..., 0] > 80) & (values[..., 1] < 40) & (values[..., 2] < 40))
    assert len(rows), "nothing red in the picture"
    return columns.mean() + 0.5, rows.mean() + 0.5


def sky_share(image):
    """(H, W) whether a pixel shows the sky and not the plain."""
    return image[..., 2] > image[..., 1]


# Where things appear


@settings(max_examples=60, deadline=None)
@given(
    bearing=st.floats(-0.55, 0.55), elevation=st.floats(-0.1, 0.4), yaw=st.floats(-3.1, 3.1),
    pitch=st.floats(-0.1, 0.1), roll=st.floats(-0.1, 0.1),
)  # fmt: skip
def test_a_ball_appears_where_the_pinhole_formula_says(made_stage, bearing, elevation, yaw, pitch, roll):
    stage = made_stage
    stage.clear()
    flat = 4.0 * math.cos(elevation)
    place = np.array(
        (flat * math.cos(yaw + bearing), flat * math.sin(yaw + bearing), 4.0 * math.sin(elevation))
    )
    stage.put(stage.ball, (place + EYE).tolist())
    orientation = turned(roll, pitch, yaw)
    body = np.array(pybullet.getMatrixFromQuaternion(orientation)).reshape(3, 3)
    forward, left, up = body.T @ place
    column, row = red_center(stage.render(orientation))
    assert column == pytest.approx(SPEC.width / 2 - FOCAL * left / forward, abs=0.7)
    assert row == pytest.approx(SPEC.height / 2 - FOCAL * up / forward, abs=0.7)


def test_left_is_left_and_up_is_up(stage):
    stage.put(stage.ball, (5.0, 2.0, 2.5))
    column, row = red_center(stage.render())
    assert column < SPEC.width / 2
    assert row < SPEC.height / 2


def test_a_mirrored_world_gives_the_mirrored_picture(stage):
    stage.put(stage.ball, (5.0, 1.3, 2.0))
    left = stage.render()
    stage.put(stage.ball, (5.0, -1.3, 2.0))
    differing = (stage.render()[:, ::-1] != left).any(axis=-1)
    assert differing.sum() <= 2  # rounding may decide a pixel on the ball's edge either way


def test_banking_to_the_right_lifts_the_horizon_on_the_right(stage):
    roll = 0.25
    sky = sky_share(stage.render(turned(roll=roll))).sum(axis=0)  # height of the sky in each column
    slope = np.polyfit(np.arange(SPEC.width), sky, 1)[0]
    assert slope == pytest.approx(-math.tan(roll), abs=0.02)


@pytest.mark.parametrize("nose_down", [-0.2, 0.0, 0.15])
def test_the_horizon_is_where_the_pitch_puts_it_without_a_gap(stage, nose_down):
    sky = sky_share(stage.render(turned(pitch=nose_down))).sum(axis=0)
    horizon = SPEC.height / 2 - FOCAL * math.tan(nose_down)
    assert np.abs(sky - horizon).max() <= 1.3


def test_a_camera_pitched_up_is_a_body_pitched_up(stage):
    stage.put(stage.ball, (5.0, 1.0, 2.0))
    tilted = dataclasses.replace(SPEC, pitch=0.2)
    difference = stage.render(spec=tilted).astype(int) - stage.render(turned(pitch=-0.2))
    assert (np.abs(difference).max(axis=-1) > 2).sum() <= 4


@given(st.floats(-3.0, 3.0), st.floats(-1.4, 1.4), st.floats(-3.0, 3.0), st.floats(-1.0, 1.0))
def test_camera_axes_are_a_rotation(roll, pitch, yaw, camera_pitch):
    right, up, forward = np.array(camera_axes(turned(roll, pitch, yaw), camera_pitch))
    np.testing.assert_allclose(np.cross(right, up), -forward, atol=1e-9)
    for axis in (right, up, forward):
        assert np.linalg.norm(axis) == pytest.approx(1.0)


def test_a_wider_camera_sees_more(stage):
    stage.put(stage.ball, (4.0, 4.0, 2.0))  # 45 degrees to the left
    with pytest.raises(AssertionError, match="nothing red"):
        red_center(stage.render())
    column, _ = red_center(stage.render(spec=CameraSpec(48, 80, math.radians(110.0))))
    assert column == pytest.approx(40.0 - 40.0 / math.tan(math.radians(55.0)), abs=1.0)


# Fog


@settings(max_examples=30, deadline=None)
@given(distance=st.floats(1.0, 80.0), density=st.floats(0.002, 0.08), row=st.integers(0, 40))
def test_fog_is_exponential_in_the_distance_along_the_ray(made_stage, distance, density, row):
    stage = made_stage
    stage.clear()
    stage.put(stage.wall, (distance + 0.1, 0.0, 0.0))
    fog = Fog((0.8, 0.7, 0.6), density)
    clear, fogged = stage.render()[row, 3], stage.render(fog=fog)[row, 3]
    right, up = (3.5 - SPEC.width / 2) / FOCAL, (SPEC.height / 2 - row - 0.5) / FOCAL
    if distance * up < -EYE[2]:
        return  # the ground is nearer than the wall here
    kept = math.exp(-density * distance * math.sqrt(1.0 + right * right + up * up))
    color = 255.0 * np.array(fog.color)
    np.testing.assert_allclose(fogged, color + (clear - color) * kept, atol=2.5)


def test_thick_fog_hides_the_horizon(stage):
    fog = Fog((0.8, 0.7, 0.6), density=0.08)
    middle = stage.render(fog=fog)[28:34]
    np.testing.assert_allclose(middle, np.broadcast_to((204.0, 178.5, 153.0), middle.shape), atol=8)


def test_without_fog_the_picture_is_the_renderers_where_something_stands(stage):
    stage.put(stage.ball, (5.0, 1.0, 2.0))
    rgba, depth, _ = stage.camera.bare_image(EYE, LEVEL, stage.scene)
    standing = depth < 0.999
    np.testing.assert_array_equal(stage.render()[standing], rgba[..., :3][standing])


# Sky


def test_the_sky_goes_from_the_horizons_colour_to_the_zeniths(stage):
    straight_up = stage.render(turned(pitch=-math.pi / 2))[32, 48]
    np.testing.assert_allclose(straight_up, 255.0 * np.array(stage.scene.sky.zenith_color), atol=3)
    sky = stage.render()[:31, 48].astype(int)
    assert (np.diff(sky[:, 0]) >= 0).all()  # paler from row to row
    rise = math.sin(math.atan(1.5 / FOCAL))  # of row 30
    share = (1.0 - math.exp(-rise / 0.3)) / (1.0 - math.exp(-1.0 / 0.3))
    zenith, horizon = np.array(stage.scene.sky.zenith_color), np.array(stage.scene.sky.horizon_color)
    np.testing.assert_allclose(sky[30], 255.0 * (horizon + (zenith - horizon) * share), atol=2)


def test_clouds_cover_as_much_as_they_should(stage):
    def share(cover):
        sky = Sky((0.0, 0.0, 1.0), (0.0, 0.0, 1.0), cover, seed=4)
        image = stage.render(turned(pitch=-0.9), sky=sky)
        return (image[..., 0] > 10).mean()

    assert share(0.0) == 0.0
    assert 0.05 < share(0.4) < 0.75
    assert share(1.0) > 0.9


def test_clouds_turn_with_the_heading_and_stand_still_in_the_world(stage):
    cloudy = Sky((0.1, 0.2, 0.6), (0.2, 0.3, 0.7), 0.5, seed=2)
    ahead = stage.render(turned(pitch=-0.4), sky=cloudy)
    assert (ahead != stage.render(turned(pitch=-0.4, yaw=0.3), sky=cloudy)).any()
    around = stage.render(turned(pitch=-0.4, yaw=2.0 * math.pi), sky=cloudy)
    assert (ahead != around).any(axis=-1).mean() < 0.01
    # Rolled upside down, the same sky stands upside down.
    over = stage.render(turned(roll=math.pi, pitch=-0.4), sky=cloudy)[::-1, ::-1]
    same = np.abs(over.astype(int) - ahead).max(axis=-1) <= 12
    assert same[:30].mean() > 0.9


@given(st.integers(0, 2**31 - 1), st.floats(0.05, 1.0))
@settings(max_examples=20, deadline=None)
def test_the_square_of_clouds_repeats_without_a_seam(seed, cover):
    amount, _ = cloud_square(seed, cover)
    for axis in (0, 1):
        seam = np.abs(amount.take(0, axis) - amount.take(-1, axis)).max()
        assert seam <= 1.5 * np.abs(np.diff(amount, axis=axis)).max()


def test_another_seed_gives_other_clouds(stage):
    first, second = (Sky((0.1, 0.2, 0.6), (0.7, 0.8, 0.9), 0.5, seed) for seed in (1, 2))
    assert (stage.render(sky=first) != stage.render(sky=second)).any()


# The array, and sameness


def test_the_picture_is_a_fresh_contiguous_rgb_array(stage):
    first, second = stage.render(), stage.render()
    assert first.shape == (64, 96, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, second)


def test_the_colour_order_is_the_cameras(stage):
    stage.put(stage.ball, (5.0, 1.0, 2.0))
    other = dataclasses.replace(SPEC, color_order="BGR")
    np.testing.assert_array_equal(stage.render(spec=other)[..., ::-1], stage.render())
    with pytest.raises(InputError, match="colour order is 'GRB'"):
        stage.render(spec=dataclasses.replace(SPEC, color_order="GRB"))


def test_an_earlier_picture_leaves_no_trace(stage):
    cloudy, foggy = Sky((0.1, 0.2, 0.6), (0.7, 0.8, 0.9), 0.7, 9), Fog((0.8, 0.7, 0.6), 0.03)
    before = stage.render()
    stage.render(turned(roll=0.4, yaw=1.0), sky=cloudy, fog=foggy)
    np.testing.assert_array_equal(stage.render(), before)


def test_the_same_world_gives_the_same_pictures_in_every_process():
    digests = {
        subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


# The chase view


def test_the_chase_view_has_the_size_asked_for(stage):
    assert chase_view(stage.client, EYE, 0.0, stage.scene).shape == (360, 640, 3)
    small = chase_view(stage.client, EYE, 0.0, stage.scene, 171, 95)
    assert small.shape == (95, 171, 3)
    assert small.dtype == np.uint8


def test_the_chase_view_looks_over_the_drone_the_way_it_flies(stage):
    stage.put(stage.ball, (0.0, 0.0, 1.5))  # where the drone is
    column, row = red_center(chase_view(stage.client, EYE, 1.0, stage.scene, 320, 180))
    assert column == pytest.approx(160.0, abs=2.0)
    assert 90.0 < row < 160.0


def test_what_stands_casts_its_shadow_away_from_the_sun(stage):
    def ground(x, y):
        """Brightness of the chase view around a point of the ground."""
        image = chase_view(stage.client, (0.0, 0.0, 1.5), 0.0, scene, 320, 180)
        right, up, forward = np.array(camera_axes(LEVEL, math.radians(-10.0))) @ (x + 2.4, y, -2.4)
        focal = 160.0 / math.tan(math.radians(35.0))
        column, row = round(160 + focal * right / forward), round(90 - focal * up / forward)
        return image[row - 1 : row + 2, column - 1 : column + 2].mean()

    sun = Light((0.0, 1.0, 1.0), (1.0, 1.0, 1.0), ambient=0.5, diffuse=0.5, specular=0.0)  # from the left
    scene = dataclasses.replace(stage.scene, light=sun)
    stage.put(stage.slab, (6.0, 0.0, 2.0))
    expected = 0.5 / (0.5 + 0.5 * math.sqrt(0.5))  # ambient alone, against ambient and sun
    assert ground(6.0, -2.0) / ground(6.0, -4.0) == pytest.approx(expected, abs=0.02)
    assert ground(6.0, 2.0) / ground(6.0, 4.0) == pytest.approx(1.0, abs=0.01)

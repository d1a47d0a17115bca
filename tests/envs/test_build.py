"""Worlds built: what stands where, what it looks like, and what a user's own files make of it."""

from __future__ import annotations

import copy
import gc
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pybullet
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import Image
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sensors import camera_axes, projection_matrix, view_matrix
from navstack.envs.tasks.fly_to_target import FlyToTarget
from navstack.envs.worlds.build import build_world
from navstack.envs.worlds.drawing import put_kind
from navstack.envs.worlds.layout import Corridor, Layout, TargetPlacement
from navstack.envs.worlds.likeness import distance, features, standardised
from navstack.envs.worlds.meshes import MeshBuilder
from navstack.envs.worlds.objects import ASPECT, NARROWEST, SHAPES, Pen, Size
from navstack.envs.worlds.scene import Scene
from navstack.envs.worlds.spec import WorldSpec, is_target_red, load_world, world_names
from navstack.errors import InputError

TASK = FlyToTarget()
PLAIN: dict[str, Any] = {
    "name": "mine",
    "ground": {"textures": [{"family": "plain", "colors": [[0.5, 0.5, 0.5]], "contrast": 0.0}]},
    "sky": {"zenith": [[0.5, 0.5, 0.5]], "horizon": [[0.5, 0.5, 0.5]], "clouds": [0, 0]},
    "objects": [],
}
PYRAMID = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nv 0 0 3\nf 1 2 5\nf 2 3 5\nf 3 4 5\nf 4 1 5\nf 4 3 2 1\n"


@pytest.fixture
def client() -> Iterator[int]:
    made = pybullet.connect(pybullet.DIRECT)
    yield made
    pybullet.disconnect(made)


def built(client: int, spec: WorldSpec, seed: int) -> tuple[Layout, Scene]:
    pybullet.resetSimulation(physicsClientId=client)
    place, world = np.random.default_rng(seed).spawn(2)
    layout = TASK.scenario(spec, place, 1.0).layout
    return layout, build_world(client, spec, layout, world)


def gap(corridor: Corridor, x: float, y: float) -> float:
    """Distance (m) from a point to the corridor's middle line."""
    along = np.array((corridor.x1 - corridor.x0, corridor.y1 - corridor.y0))
    to = np.array((x - corridor.x0, y - corridor.y0))
    share = float(np.clip(to @ along / (along @ along), 0.0, 1.0))
    return float(np.linalg.norm(to - share * along))


def pictures(world: str | Path, seeds: range) -> list[Image]:
    environment = NavigationEnv(world=world, purpose="evaluate")
    try:
        return [environment.reset(seed=seed)[0]["image"] for seed in seeds]
    finally:
        environment.close()


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(copy.deepcopy(PLAIN) | changes))
    return path


# The library


@pytest.mark.parametrize("name", world_names())
def test_every_draw_of_a_library_world_can_be_built_and_leaves_the_way_free(client: int, name: str) -> None:
    spec = load_world(name)
    for seed in range(14):
        layout, scene = built(client, spec, seed)
        *others, target = scene.obstacles.tolist()
        assert target[:2] == [layout.targets[0].x, layout.targets[0].y]
        for x, y, radius, height in others:
            assert height > 0.0
            assert gap(layout.corridors[0], x, y) >= layout.corridors[0].radius + radius - 1e-9
        assert (
            pybullet.getNumBodies(physicsClientId=client) <= 5
        )  # ground, path, everything, what shines, target
        assert scene.fog.density >= 0.0
        assert math.hypot(*scene.light.direction_enu) == pytest.approx(1.0)
        assert np.ptp(scene.light.color) < 1.0


@pytest.mark.parametrize("name", world_names())
def test_what_stands_about_can_be_hit_and_the_way_cannot(client: int, name: str) -> None:
    """Rays along the way at every height that is flown meet the target and nothing before it."""
    layout, scene = built(client, load_world(name), 3)
    way, target = layout.corridors[0], layout.targets[0]
    ground = scene.ground_height
    for height in (0.6, 1.5, 3.0):
        start = (way.x0, way.y0, ground(way.x0, way.y0) + height)
        end = (way.x1, way.y1, ground(way.x1, way.y1) + height)
        hit, _, share, *_ = pybullet.rayTest(start, end, physicsClientId=client)[0]
        length = math.dist(start, end)
        assert hit < 0 or (1.0 - share) * length < target.size
    down = pybullet.rayTest((way.x0, way.y0, 9.0), (way.x0, way.y0, -9.0), physicsClientId=client)[0]
    assert down[3][2] == pytest.approx(ground(way.x0, way.y0), abs=1e-4 if scene.slopes else 1e-6)


@pytest.mark.parametrize("name", world_names())
def test_a_seed_is_one_exact_world_and_another_seed_another(client: int, name: str) -> None:
    spec = load_world(name)
    (_, first), (_, again), (_, other) = (built(client, spec, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.obstacles, again.obstacles)
    assert (first.light, first.sky, first.fog, first.wind_enu) == (
        again.light,
        again.sky,
        again.fog,
        again.wind_enu,
    )
    assert first.light != other.light
    assert first.obstacles.shape != other.obstacles.shape or not np.array_equal(
        first.obstacles, other.obstacles
    )
    images, same, others = (pictures(name, range(seed, seed + 1))[0] for seed in (5, 5, 6))
    assert np.array_equal(images, same)
    assert not np.array_equal(images, others)


@pytest.mark.parametrize("name", world_names())
def test_nothing_but_the_target_is_red_under_the_lights_of_a_world(name: str) -> None:
    """Lamps, sunsets and photographs included: a pixel of that colour is on the target or at its edge."""
    environment = NavigationEnv(world=name, purpose="evaluate")
    try:
        image = environment.reset(seed=12)[0]["image"]
        simulator = environment.simulator
        vehicle, camera = simulator.vehicle, simulator.camera_spec
        view = view_matrix(vehicle.camera_position(), camera_axes(vehicle.orientation, camera.pitch))
        projection = projection_matrix(camera.horizontal_fov, camera.width, camera.height)
        ids = pybullet.getCameraImage(
            camera.width, camera.height, view, projection, renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=simulator.client,
        )[4]  # fmt: skip
        target = np.isin(ids, simulator.scene.targets).astype(np.uint8)
    finally:
        environment.close()
    around = cv2.dilate(target, np.ones((3, 3), np.uint8)) > 0
    others = image[~around] / 255.0
    assert target.any()
    assert not any(is_target_red(tuple(color)) for color in np.unique(others, axis=0).tolist())


def test_worlds_look_different_from_one_another() -> None:
    """A few draws of any two held-out worlds lie apart, and least those of the warehouse and its variant."""
    looks = {
        name: np.array([features(picture) for picture in pictures(name, range(6))])
        for name in world_names("held-out")
    }
    looks, names = standardised(looks), sorted(looks)
    for first in names:
        for second in names[names.index(first) + 1 :]:
            variant = {first, second} == {"depot", "warehouse"}
            assert distance(looks[first], looks[second]) > (0.3 if variant else 0.9), (first, second)


def test_many_worlds_one_after_another_take_little_memory() -> None:
    """PyBullet keeps some of every world (half a megabyte of a forest; ten times that of careless lists)."""
    environment = NavigationEnv(world="forest", purpose="train", camera=False)
    try:
        used = []
        for seed in range(90):
            environment.reset(seed=seed)
            if seed in (39, 89):
                gc.collect()
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                used.append(4096 * pages / 1e6)
        assert used[1] - used[0] < 60.0  # MB in 50 worlds
    finally:
        environment.close()


# Objects

heights = st.floats(0.8, 12.0)  # m: a bench of less is still 0.45 m deep


@given(st.sampled_from(sorted(SHAPES)), heights, st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_an_object_stays_within_its_bounding_cylinder(
    kind: str, height: float, wide: float, seed: int
) -> None:
    """But for lamps and hay bales, which reach up to 20% beyond: a corridor leaves over a metre more."""
    rng = np.random.default_rng(seed)
    low, high = ASPECT[kind]
    share, least = NARROWEST.get(kind, (0.0, 0.0))
    size = Size(height, max(height * (low + wide * (high - low)), share * height, least))
    builder = MeshBuilder(1)
    put_kind(kind, Pen(builder, 0.0, 0.0, float(rng.uniform(-3.0, 3.0)), 0, 0), size, rng)
    mesh = builder.merged()
    assert mesh is not None
    beyond = 1.2 if kind in ("lamp", "hay_bale") else 1.05
    assert np.linalg.norm(mesh.vertices[:, :2], axis=1).max() <= beyond * size.radius
    if height > 3.0:  # lower ones may have a floor of windows or a load more than fits
        assert mesh.vertices[:, 2].max() <= 1.05 * height
    assert np.isfinite(mesh.normals).all()
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0)
    assert mesh.uvs.min() >= 0.0
    assert mesh.uvs.max() <= 1.0
    assert mesh.faces.max() < len(mesh.vertices)


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_narrow_object_is_no_deeper_than_its_cylinder_says(client: int, kind: str) -> None:
    spec = WorldSpec.model_validate(
        PLAIN | {"objects": [{"kind": kind, "count": [1, 1], "height": [1.5, 1.5], "width": [0.05, 0.05]}]}
    )
    _, scene = built(client, spec, 0)
    x, y, radius, _ = scene.obstacles[0]
    for angle in np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False):
        c, s = math.cos(angle), math.sin(angle)
        for height in (0.1, 0.5, 0.75, 1.2, 1.45):
            # A wall of air just outside the cylinder: a short ray along its tangent meets nothing.
            reach = max(1.2 * radius, 0.06)
            middle = (x + reach * c, y + reach * s)
            ends = [(middle[0] + sign * 0.3 * s, middle[1] - sign * 0.3 * c, height) for sign in (-1, 1)]
            assert pybullet.rayTest(*ends, physicsClientId=client)[0][0] < 0


@pytest.mark.parametrize("kind", ["chair", "barrel", "cone", "box", "ball"])
def test_a_target_is_red_and_of_the_size_that_was_drawn(client: int, kind: str) -> None:
    spec = WorldSpec.model_validate(PLAIN)
    target = TargetPlacement(kind, 1.0, 2.0, 0.4, 1.1)
    layout = Layout((target,), (Corridor(-7.0, 2.0, 1.0, 2.0, 1.6),), (0.0, 0.0), 20.0)
    scene = build_world(client, spec, layout, np.random.default_rng(0))
    low, high = pybullet.getAABB(scene.targets[0], physicsClientId=client)
    assert high[2] == pytest.approx(1.1, abs=0.05)
    assert low[2] == pytest.approx(0.0, abs=0.05)
    middle = [(a + b) / 2.0 for a, b in zip(low, high, strict=True)]
    assert middle[:2] == pytest.approx([1.0, 2.0], abs=0.1)


# Users' files


def test_a_users_ground_texture_is_what_the_camera_sees(tmp_path: Path) -> None:
    """A blue floor from a file beside the world file: the lower part of every picture is blue."""
    (tmp_path / "art").mkdir()
    blue = np.full((64, 64, 3), (200, 60, 20), np.uint8)  # BGR
    cv2.imwrite(str(tmp_path / "art" / "floor.png"), blue)
    path = written(tmp_path, ground={"textures": [{"file": "art/floor.png", "tile": [1, 2]}]})
    for picture in pictures(path, range(3)):
        red, _, blue_ = picture[-6:].reshape(-1, 3).mean(axis=0)
        assert blue_ > 100.0
        assert blue_ > 3.0 * red


def green(picture: Image) -> float:
    """Share of green pixels."""
    red, green_, blue = (picture[..., k].astype(int) for k in range(3))
    return float(((green_ > 1.6 * red) & (green_ > 1.6 * blue) & (green_ > 40)).mean())


def test_a_users_mesh_with_a_users_texture_stands_in_the_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "lime.png"), np.full((16, 16, 3), (20, 220, 30), np.uint8))
    (tmp_path / "pyramid.obj").write_text(PYRAMID)
    without = [green(picture) for picture in pictures(written(tmp_path), range(6))]
    objects = [
        {"kind": "mesh", "file": "pyramid.obj", "count": [60, 60], "height": [2, 3], "width": [2, 3],
         "textures": [], "texture_files": ["lime.png"]}
    ]  # fmt: skip
    found = [green(picture) for picture in pictures(written(tmp_path, objects=objects), range(6))]
    assert max(without) == 0.0
    assert np.median(found) > 0.01


def test_more_objects_than_fit_are_refused_in_a_sentence(client: int) -> None:
    objects = [{"kind": "house", "count": [300, 300], "height": [6, 8], "width": [20, 20]}]
    spec = WorldSpec.model_validate(PLAIN | {"objects": objects})
    with pytest.raises(
        InputError, match=r"'mine' asks for at least 300 of 'house' and only \d+ fit beside the way;"
    ):
        built(client, spec, 0)


def test_a_range_is_filled_as_far_as_there_is_room(client: int) -> None:
    objects = [{"kind": "house", "count": [1, 300], "height": [6, 8], "width": [20, 20]}]
    spec = WorldSpec.model_validate(PLAIN | {"objects": objects})
    for seed in range(4):
        built(client, spec, seed)


def test_more_triangles_than_can_be_drawn_are_refused_in_a_sentence(client: int, tmp_path: Path) -> None:
    (tmp_path / "fine.obj").write_text(PYRAMID + 3000 * "f 1 2 5\n")
    objects = [
        {"kind": "mesh", "file": str(tmp_path / "fine.obj"), "count": [200, 200], "height": [0.3, 0.4]}
    ]
    spec = WorldSpec.model_validate(PLAIN | {"objects": objects})
    with pytest.raises(InputError, match="has 601200 triangles; 400000 can be drawn"):
        built(client, spec, 0)


def test_a_full_temporary_folder_is_named(
    client: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"cannot write a texture to the temporary folder .*set TMPDIR"):
        built(client, WorldSpec.model_validate(PLAIN), 0)


def test_a_room_has_four_walls(client: int) -> None:
    spec = WorldSpec.model_validate(PLAIN | {"room": {"half_size": [15, 15], "height": [5, 5]}})
    layout, _ = built(client, spec, 0)
    x, y = layout.center
    for dx, dy in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        _, _, share, *_ = pybullet.rayTest(
            (x, y, 4.0), (x + 20.0 * dx, y + 20.0 * dy, 4.0), physicsClientId=client
        )[0]
        assert 20.0 * share == pytest.approx(15.0, abs=0.3)

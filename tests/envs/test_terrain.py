"""Ground that is not flat: what is drawn, what is hit and what a task counts heights from are one surface."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pybullet
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.layout import Corridor, Layout
from navstack.envs.worlds.spec import TerrainSpec, load_world
from navstack.envs.worlds.terrain import BULGE, SIGHT, Slopes, Terrain, draw_terrain
from navstack.errors import InputError

SLOPING: dict[str, Any] = {
    "name": "sloping",
    "ground": {
        "terrain": {"relief": [4, 9], "scale": [20, 30], "steepest": 0.3},
        "textures": [{"family": "grass"}],
        "path": {"probability": 1.0, "textures": [{"family": "gravel"}]},
    },
    "sky": {"zenith": "any", "horizon": "any"},
    "objects": [{"kind": "crate", "density": [0.5, 1.0], "height": [1, 2]}],
}
seeds = st.integers(0, 2**32)
patterns = st.sampled_from(["hills", "dunes"])


def drawn(seed: int, pattern: str = "hills", radius: float = 26.0) -> tuple[Terrain, Layout]:
    rng = np.random.default_rng(seed)
    way = Corridor(*rng.uniform(-20.0, 20.0, 4).tolist(), 1.6)
    layout = Layout((), (way,), (float(rng.uniform(-5.0, 5.0)), 2.0), radius)
    spec = TerrainSpec.model_validate({"pattern": pattern, "relief": [0.5, 12.0], "scale": [15.0, 80.0]})
    return draw_terrain(spec, layout, rng), layout


@pytest.fixture
def world(tmp_path: Path) -> Path:
    path = tmp_path / "sloping.yaml"
    path.write_text(yaml.safe_dump(SLOPING))
    return path


@pytest.fixture
def environment(world: Path) -> Iterator[NavigationEnv]:
    made = NavigationEnv(world=world, purpose="evaluate", camera=False)
    yield made
    made.close()


# The surface


@given(seeds, patterns, st.floats(-140.0, 140.0), st.floats(-140.0, 140.0))
def test_the_loops_height_is_the_terrains(seed: int, pattern: str, x: float, y: float) -> None:
    terrain, _ = drawn(seed % 50, pattern)
    assert Slopes(terrain)(x, y) == pytest.approx(terrain.height(x, y), abs=1e-9)


@given(seeds, patterns, st.floats(26.0, 60.0))
def test_no_slope_is_steeper_than_the_file_allows(seed: int, pattern: str, radius: float) -> None:
    terrain, layout = drawn(seed, pattern, radius)
    assert terrain.steepest <= 0.25 + 1e-9
    x, y = np.random.default_rng(seed).uniform(-110.0, 110.0, (2, 400))
    step = 0.01
    rise = np.hypot(terrain.at(x + step, y) - terrain.at(x, y), terrain.at(x, y + step) - terrain.at(x, y))
    assert rise.max() / step <= math.sqrt(2.0) * terrain.steepest + 1e-6
    assert terrain.height(*layout.center) == pytest.approx(0.0, abs=1e-9)


@given(seeds, patterns)
def test_no_crest_stands_between_a_start_and_its_target(seed: int, pattern: str) -> None:
    terrain, layout = drawn(seed, pattern)
    way = layout.corridors[0]
    length = math.hypot(way.x1 - way.x0, way.y1 - way.y0)
    if length > SIGHT:
        return
    share = np.linspace(0.0, 1.0, 40)
    ground = terrain.at(way.x0 + share * (way.x1 - way.x0), way.y0 + share * (way.y1 - way.y0))
    assert (ground - (ground[0] + share * (ground[-1] - ground[0]))).max() <= BULGE + 0.1


@given(seeds)
def test_a_foot_is_nowhere_above_the_ground_around_it(seed: int) -> None:
    terrain, _ = drawn(seed)
    slopes = Slopes(terrain)
    assert slopes.foot(3.0, -2.0, 2.0) <= min(slopes(3.0, -2.0), slopes(5.0, -2.0), slopes(3.0, -4.0)) + 1e-9


def test_two_draws_are_two_grounds_and_one_seed_is_one() -> None:
    (first, _), (again, _), (other, _) = drawn(1), drawn(1), drawn(2)
    assert np.array_equal(first.heights, again.heights)
    assert not np.array_equal(first.heights, other.heights)
    assert np.ptp(first.heights) > 0.5


# In the simulator


def test_what_is_hit_is_the_height_that_is_told(environment: NavigationEnv) -> None:
    environment.reset(seed=3)
    simulator = environment.simulator
    ground, scene = simulator.scene.ground, simulator.scene
    checked = 0
    for x, y in np.random.default_rng(0).uniform(-30.0, 30.0, (200, 2)).tolist():
        hit, _, _, place, _ = pybullet.rayTest((x, y, 30.0), (x, y, -30.0), physicsClientId=simulator.client)[
            0
        ]
        if hit == ground:
            assert place[2] == pytest.approx(scene.ground_height(x, y), abs=1e-4)
            checked += 1
    assert checked > 100


def test_heights_of_a_task_are_above_the_local_ground(environment: NavigationEnv) -> None:
    lifted = []
    for seed in range(8):
        _, info = environment.reset(seed=seed)
        simulator = environment.simulator
        x, y, z = simulator.vehicle.position
        ground = simulator.scene.ground_height(x, y)
        assert z - ground == pytest.approx(simulator.scenario.position_enu[2], abs=1e-9)
        assert info["state"].height == pytest.approx(z - ground, abs=1e-9)
        target = simulator.scenario.layout.targets[0]
        low, high = pybullet.getAABB(simulator.scene.targets[0], physicsClientId=simulator.client)
        assert low[2] <= simulator.scene.ground_height(target.x, target.y) + 0.01
        assert high[2] == pytest.approx(
            simulator.scene.ground_height(target.x, target.y) + target.size, abs=0.3
        )
        lifted.append(abs(ground))
    assert max(lifted) > 0.3


def test_the_expert_stops_at_its_height_above_a_slope(environment: NavigationEnv) -> None:
    for seed in range(4):
        _, info = environment.reset(seed=seed)
        while "outcome" not in info:
            *_, info = environment.step(info["expert_command"])
        assert info["outcome"] == "success"
        assert info["state"].height == pytest.approx(1.75, abs=0.3)


def test_flying_into_a_slope_is_a_collision(environment: NavigationEnv) -> None:
    _, info = environment.reset(seed=1)
    sink = VelocityCommand(0.3, 0.0, -0.8, 0.0).as_array()
    while "outcome" not in info:
        *_, info = environment.step(sink)
    assert info["outcome"] == "collision"
    assert info["state"].height < 0.3


def test_a_room_on_slopes_is_refused(world: Path) -> None:
    text = world.read_text() + "room: {half_size: [15, 16]}\n"
    world.write_text(text)
    with pytest.raises(InputError, match="room: a room has a flat floor"):
        load_world(world)

"""Clutter: what stands where, and a pilot that flies the shortest way among it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import CameraSpec, VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.experts.clutter import ClutterExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.clutter import Clutter, region_area, share_in_sight
from navstack.envs.worlds.layout import Placed
from navstack.envs.worlds.spec import load_world
from navstack.errors import InputError
from navstack.results import COLLISION, SUCCESS

WORLDS = {name: load_world(name) for name in ("forest", "studio")}

TARGET = (0.0, 0.0, 0.5)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1), density=st.floats(0.01, 0.08), difficulty=st.floats(0.0, 1.0),
    world=st.sampled_from(("forest", "studio")),
)  # fmt: skip
def test_every_draw_obeys_the_published_numbers(
    seed: int, density: float, difficulty: float, world: str
) -> None:
    scenario = Clutter(density).scenario(WORLDS[world], np.random.default_rng(seed), difficulty)
    (x, y, z), (tx, ty, _), layout = scenario.position_enu, scenario.target_enu, scenario.layout
    distance, obstacles = math.hypot(tx - x, ty - y), layout.obstacles
    assert 8.0 - 1e-9 <= distance <= 12.0
    assert 1.2 <= z <= 3.0
    bearing = math.remainder(math.atan2(ty - y, tx - x) - scenario.yaw, math.tau)
    assert abs(bearing) <= difficulty * math.radians(35.0) + 1e-9
    assert scenario.time_limit == pytest.approx(10.0 + distance / 0.5)
    assert len(obstacles) == max(1, round(difficulty * density * region_area(distance)))

    def gap(one: Placed, a: float, b: float, radius: float) -> float:
        return math.hypot(one.x - a, one.y - b) - one.size.radius - radius

    for number, one in enumerate(obstacles):
        assert gap(one, x, y, 0.0) >= 1.5
        assert gap(one, tx, ty, 0.6 * layout.targets[0].size) >= 1.5
        assert all(gap(one, p.x, p.y, p.size.radius) >= 1.5 for p in obstacles[:number])
        along = ((one.x - x) * (tx - x) + (one.y - y) * (ty - y)) / distance
        nearest = min(distance, max(0.0, along)) / distance
        aside = math.hypot(one.x - x - nearest * (tx - x), one.y - y - nearest * (ty - y))
        assert aside <= 5.0 + 1e-9
        low, high = ((3.0, 3.5), (0.6, 0.9)) if world == "studio" else ((5.0, 9.0), (0.3, 0.6))
        assert low[0] <= one.size.height <= low[1]
        assert high[0] <= one.size.width <= high[1]
        if number == 0:
            assert aside <= one.size.radius + 0.05 + 1e-9
            assert 0.25 * distance <= along <= 0.7 * distance
    assert share_in_sight(obstacles, layout.corridors[0], layout.targets[0].size) >= 0.4


def test_what_is_said_to_be_in_sight_is_seen() -> None:
    """In pictures: the red that is left with the obstacles there, against without them."""
    environment = NavigationEnv(task="Clutter", world="meadow", density=0.08)
    for seed in range(6):
        observation, _ = environment.reset(seed=seed)
        image = observation["image"].astype(int)
        red = (image[..., 0] > 60) & (image[..., 0] > 2 * image[..., 1]) & (image[..., 0] > 2 * image[..., 2])
        scenario = environment.simulator.scenario
        focal = 0.5 * CameraSpec().width / math.tan(0.5 * CameraSpec().horizontal_fov)
        width = focal * 0.66 * scenario.layout.targets[0].size / scenario.start_distance  # of the narrowest
        assert red.any(axis=0).sum() >= 0.4 * width - 1.0
    environment.close()


@pytest.mark.parametrize("density", [0.0, 0.009, 0.081, math.nan, "thick"])
def test_a_density_out_of_range_is_refused(density: object) -> None:
    with pytest.raises(InputError, match=r"Clutter's density is .*must be"):
        NavigationEnv(task="Clutter", density=density)


def state(x: float, y: float, yaw: float, velocity: tuple[float, float] = (0.0, 0.0)) -> VehicleState:
    return VehicleState(
        0.0, (x, y, 1.75), (*velocity, 0.0), (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)), (0.0,) * 3
    )


def test_it_flies_round_a_trunk_on_the_nearer_side_and_keeps_the_target_in_the_picture() -> None:
    for side in (-1.0, 1.0):
        trunk = np.array(((-5.0, -0.1 * side, 0.3),))
        command = ClutterExpert(TARGET, 0.6, trunk).command(state(-8.0, 0.0, 0.0))
        assert command.forward > 1.0
        assert math.copysign(1.0, command.left) == side
        assert math.copysign(1.0, command.yaw_rate) == side


def test_where_nothing_is_in_the_way_it_flies_as_in_fly_to_target() -> None:
    aside = np.array(((-5.0, 4.0, 0.3),))
    for x, y, yaw in ((-8.0, 0.0, 0.2), (-3.4, 0.3, -0.1), (-2.0, -0.5, 0.0)):
        ours = ClutterExpert(TARGET, 0.6, aside).command(state(x, y, yaw))
        plain = ApproachExpert(TARGET, cruise=1.4).command(state(x, y, yaw))
        assert ours.as_array() == pytest.approx(plain.as_array(), abs=1e-6)


@given(
    x=st.floats(-12.0, 4.0), y=st.floats(-5.0, 5.0), yaw=st.floats(-math.pi, math.pi), seed=st.integers(0, 30)
)
@settings(max_examples=30)
def test_every_state_has_a_command_that_does_not_lead_into_a_trunk(
    x: float, y: float, yaw: float, seed: int
) -> None:
    scenario = Clutter(0.08).scenario(WORLDS["forest"], np.random.default_rng(seed), 1.0)
    roles = Clutter(0.08).roles(scenario)
    x, y = x + scenario.target_enu[0], y + scenario.target_enu[1]
    command = roles.expert.command(state(x, y, yaw))
    assert command.is_finite()
    assert abs(command.left) <= 1.0 + 0.8
    east = command.forward * math.cos(yaw) - command.left * math.sin(yaw)
    north = command.forward * math.sin(yaw) + command.left * math.cos(yaw)
    for p in scenario.layout.obstacles:
        away = math.hypot(p.x - x, p.y - y)
        if away < p.size.radius + 0.6:  # inside its disc: outwards or along, never nearer
            assert (east * (p.x - x) + north * (p.y - y)) / max(away, 1e-9) < 0.05


def test_the_expert_wins_in_every_library_world(world: str) -> None:
    conditions = Conditions(env="Clutter", task_options=("density=0.08",))
    assert expert_success(world, episodes=2, seed=72_000, conditions=conditions) == 2 * [SUCCESS]


def test_who_flies_straight_mostly_hits() -> None:
    environment = NavigationEnv(task="Clutter", world="meadow", camera=False)
    outcomes = []
    for seed in range(12):
        _, info = environment.reset(seed=seed)
        pilot = ApproachExpert(environment.simulator.scenario.target_enu)
        while "outcome" not in info:
            *_, info = environment.step(pilot.command(info["state"]).as_array())
        outcomes.append(info["outcome"])
    environment.close()
    assert outcomes.count(COLLISION) >= 8


def test_the_expert_flies_like_a_pilot() -> None:
    """Clear of the trunks, without jerks, the target in the picture."""
    environment = NavigationEnv(task="Clutter", world="forest", camera=False, density=0.08)
    for seed in range(4):
        _, info = environment.reset(seed=seed)
        target = environment.simulator.scenario.target_enu
        velocities, bearings, commands = [], [], []
        while "outcome" not in info:
            commands.append(info["expert_command"])
            *_, info = environment.step(info["expert_command"])
            flown = info["state"]
            velocities.append(flown.velocity_enu)
            east, north = target[0] - flown.position_enu[0], target[1] - flown.position_enu[1]
            bearings.append(abs(math.remainder(math.atan2(north, east) - flown.yaw, math.tau)))
        assert environment.simulator.clearance > 0.4
        assert np.linalg.norm(np.diff(velocities, axis=0), axis=1).max() * 20.0 < 4.5  # m/s^2
        assert np.abs(np.diff(commands, axis=0)).max() < 0.5
        assert max(bearings) < math.radians(40.0)
    environment.close()


def test_a_flight_for_learning_begins_anywhere_among_the_trunks() -> None:
    places = []
    for seed in range(30):
        scenario = Clutter().scenario(WORLDS["forest"], np.random.default_rng(seed), 1.0, anywhere=True)
        (x, y, z), (tx, ty, _) = scenario.position_enu, scenario.target_enu
        places.append(math.hypot(tx - x, ty - y))
        assert 0.7 <= z <= 3.3
        assert all(math.hypot(p.x - x, p.y - y) > p.size.radius + 0.5 for p in scenario.layout.obstacles)
    assert min(places) < 4.0
    assert max(places) > 9.0
